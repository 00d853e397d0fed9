"""Run-time settings in the admin: changed ones as rows, the others below the list with their defaults."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import display

from connections.admin.forms import PERMISSION, for_user
from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.model_admin import BaseAdmin
from runs import settings
from runs.admin.forms import SettingForm, guards_secret
from runs.models import Setting


@admin.register(Setting)
class SettingAdmin(BaseAdmin):
    form = SettingForm
    list_display = ["key", "meaning", "now", "default"]
    fields = ["key", "value"]
    list_after_template = "runs/settings_at_default.html"
    empty_text = "All settings have their default values, listed below. Add the one you want to change."

    def get_readonly_fields(self, request: HttpRequest, obj: Setting | None = None) -> list[str]:
        return ["key", "meaning", "default"] if obj else []

    def get_fields(self, request: HttpRequest, obj: Setting | None = None) -> list[str]:
        return ["key", "meaning", "value", "default"] if obj else ["key", "value"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        return for_user(form, may_use_secrets=request.user.has_perm(PERMISSION))

    def has_delete_permission(self, request: HttpRequest, obj: Setting | None = None) -> bool:
        """Deleting a row resets the setting to its default, so it takes the same permission as a change."""
        is_allowed = bool(super().has_delete_permission(request, obj))
        return is_allowed and (obj is None or request.user.has_perm(PERMISSION) or not guards_secret(obj.key))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        changed = set(Setting.objects.values_list("key", flat=True))
        add = reverse("admin:runs_setting_add") if self.has_add_permission(request) else ""
        rows = [
            {"key": name, "label": key.label, "default": shown(key.default), "url": add and f"{add}?key={name}"}
            for name, key in settings.KEYS.items()
            if name not in changed
        ]
        return super().changelist_view(request, {"at_default": rows, **(extra_context or {})})

    @display(description="Meaning")
    def meaning(self, setting: Setting) -> str:
        key = settings.KEYS.get(setting.key)
        return key.label if key else "no longer used"

    @display(description="Value")
    def now(self, setting: Setting) -> str:
        return html.clipped(shown(setting.value))

    @display(description="Default")
    def default(self, setting: Setting) -> str:
        key = settings.KEYS.get(setting.key)
        return shown(key.default) if key else html.NOTHING


def shown(value: Any) -> str:
    """Return a value in the form in which it is entered."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or html.NOTHING
    if value is None or value == "":
        return html.NOTHING
    return value if isinstance(value, str) else json.dumps(value)
