"""The settings in the admin: one form, in groups."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.decorators import display

from connections.admin.forms import PERMISSION, for_user
from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.model_admin import BaseAdmin
from runs.admin.forms import SettingForm
from runs.models import Setting
from runs.models.setting import ROW, names


@admin.register(Setting)
class SettingAdmin(BaseAdmin):
    form = SettingForm
    fieldsets = [
        ("Safety limits", {"fields": ["min_full_share", "max_delete_share"]}),
        ("Runs", {"fields": ["no_progress_timeout", "heartbeat_seconds", "lease_seconds", "run_log_megabytes"]}),
        ("Retention", {"fields": ["run_retention_days", "log_retention_days"]}),
        ("Schedules", {"fields": ["misfire_grace_hours", "runs_per_tick"]}),
        ("Verifications", {"fields": ["verify_statement_seconds", "verify_statements_per_second"]}),
        ("Notifications", {"fields": ["notify_every", "notify_manual_runs", "late_after_hours", "site_url"]}),
        ("E-mail", {"fields": ["notification_addresses", "smtp_security", "smtp_username", "smtp_password"]}),
        ("Webhook", {"fields": ["webhook_url", "webhook_secret"]}),
    ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the form: there is one row, so there is no list."""
        if not self.has_view_or_change_permission(request):
            return super().changelist_view(request, extra_context)
        return HttpResponseRedirect(html.page_of(Setting()))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Setting | None:
        """Return the row, or the defaults while there is none."""
        return super().get_object(request, object_id, from_field) or (Setting() if object_id == str(ROW) else None)

    def get_fieldsets(self, request: HttpRequest, obj: Setting | None = None) -> Any:
        unknown = set(obj.invalid) - set(names()) if obj else ()
        return [*self.fieldsets, ("No longer used", {"fields": ["unknown"]})] if unknown else self.fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Setting | None = None) -> list[str]:
        return ["unknown"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        return for_user(form, may_use_secrets=request.user.has_perm(PERMISSION))

    def save_model(self, request: HttpRequest, obj: Setting, form: Any, change: bool) -> None:
        """Save what was changed only, so that two users do not undo each other's changes of other settings."""
        if obj._state.adding:
            obj.save()
        else:
            obj.save(update_fields=[*form.changed_data, "invalid", "updated_at"])

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Setting | None = None) -> bool:
        return False

    @display(description="Stored values")
    def unknown(self, setting: Setting) -> str:
        return ", ".join(sorted(set(setting.invalid) - set(names())))
