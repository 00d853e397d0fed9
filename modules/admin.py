"""Modules and groups in the admin. Every edit of a module leaves its history row, whichever way it is made."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.admin import ModelAdmin, StackedInline, TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from modules import history
from modules.forms import HookForm, ModuleForm, WatermarkForm
from modules.history_admin import ModuleHistoryAdmin
from modules.models import Group, GroupMember, Hook, Module, ModuleHistory, Watermark

admin.site.register(ModuleHistory, ModuleHistoryAdmin)


class WatermarkInline(StackedInline):
    model = Watermark
    form = WatermarkForm
    extra = 0
    tab = True
    fields = [("name", "default_value"), "connection", "resolver_sql"]


class HookInline(StackedInline):
    model = Hook
    form = HookForm
    extra = 0
    tab = True
    fields = [("run_order", "run_on", "on_error"), "connection", "sql"]


@admin.register(Module)
class ModuleAdmin(ModelAdmin):
    form = ModuleForm
    inlines = [WatermarkInline, HookInline]
    list_display = ["name", "flow", "strategy", "merge_key", "in_groups", "owner", "enabled"]
    list_filter = [
        "enabled",
        ("merge_strategy", ChoicesDropdownFilter),
        ("source_connection", RelatedDropdownFilter),
        ("dest_connection", RelatedDropdownFilter),
        ("groups", RelatedDropdownFilter),
    ]
    list_filter_submit = True
    list_select_related = ["source_connection", "dest_connection"]
    search_fields = ["name", "dest_table", "source_query", "owner", "notes"]
    autocomplete_fields = ["source_connection", "dest_connection"]
    actions = ["enable", "disable"]
    warn_unsaved_form = True
    fieldsets = [
        (None, {"fields": [("name", "enabled"), ("source_connection", "dest_connection"), "dest_table"]}),
        ("Source", {"fields": ["source_query", "columns"]}),
        (
            "Publishing",
            {
                "description": "Keys and watermarks are destination columns: the aliases of the query.",
                "fields": [
                    "merge_strategy",
                    ("merge_key", "duplicate_keys"),
                    ("watermark_column", "overlap"),
                    ("full_publish", "nul_bytes"),
                ],
            },
        ),
        ("Rows that the source deleted", {"fields": ["key_sync", "key_sync_query", "full_refresh_cron"]}),
        (
            "Retries",
            {
                "classes": ["collapse"],
                "fields": [
                    ("max_retries", "retry_timeout"),
                    ("retry_delay", "max_retry_delay"),
                    "exponential_backoff",
                ],
            },
        ),
        ("About", {"fields": ["owner", "notes"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Module]:
        found: QuerySet[Module] = super().get_queryset(request)
        return found.prefetch_related("groups")

    @display(description="From → to", ordering="dest_table")
    def flow(self, module: Module) -> str:
        return f"{module.source_connection} → {module.dest_connection}: {module.dest_table}"

    @display(
        description="Strategy",
        ordering="merge_strategy",
        label=True,
    )
    def strategy(self, module: Module) -> str:
        return module.merge_strategy

    @display(description="Groups")
    def in_groups(self, module: Module) -> str:
        return ", ".join(group.name for group in module.groups.all())

    @admin.action(description="Enable selected modules", permissions=["change"])
    def enable(self, request: HttpRequest, modules: QuerySet[Module]) -> None:
        self._switch(request, modules, enabled=True)

    @admin.action(description="Disable selected modules", permissions=["change"])
    def disable(self, request: HttpRequest, modules: QuerySet[Module]) -> None:
        self._switch(request, modules, enabled=False)

    def _switch(self, request: HttpRequest, modules: QuerySet[Module], *, enabled: bool) -> None:
        count = history.switch(modules, enabled=enabled, actor=_actor(request))
        self.message_user(request, f"{count} modules {'enabled' if enabled else 'disabled'}.", messages.SUCCESS)

    def save_model(self, request: HttpRequest, obj: Module, form: Any, change: bool) -> None:
        form.before = history.snapshot(obj)
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        history.record(form.instance, form.before, actor=_actor(request))

    def delete_model(self, request: HttpRequest, obj: Module) -> None:
        history.delete(obj, actor=_actor(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Module]) -> None:
        for module in queryset:
            history.delete(module, actor=_actor(request))

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        page = reverse("admin:modules_modulehistory_changelist")
        return HttpResponseRedirect(f"{page}?module__id__exact={object_id}")


def _actor(request: HttpRequest) -> str:
    return request.user.get_username()


class GroupMemberInline(TabularInline):
    model = GroupMember
    extra = 0
    hide_title = True
    fields = ["module", "run_order"]
    autocomplete_fields = ["module"]


@admin.register(Group)
class GroupAdmin(ModelAdmin):
    inlines = [GroupMemberInline]
    list_display = ["name", "member_count", "on_failure", "max_parallel"]
    list_filter = ["on_failure"]
    search_fields = ["name", "modules__name"]
    fieldsets = [(None, {"fields": ["name", ("on_failure", "max_parallel")]})]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        found: QuerySet[Group] = super().get_queryset(request)
        return found.annotate(size=Count("members"))

    @display(description="Modules", ordering="size")
    def member_count(self, group: Any) -> int:
        return int(group.size)
