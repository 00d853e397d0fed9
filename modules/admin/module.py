"""Modules and groups in the admin. Every edit of a module is recorded in its history."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.admin import StackedInline, TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from modules import history, validation, watermark_types
from modules.admin.forms import HookForm, ModuleForm, WatermarkForm
from modules.admin.history import ModuleHistoryAdmin
from modules.models import Group, GroupMember, Hook, Module, ModuleHistory, Watermark
from modules.strategies import traits_of
from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.form_fields import KnownAutocomplete
from pipekit_site.admin_ui.model_admin import FROM_PAGE, BaseAdmin, Button

_RESETS = (
    "Incremental replaces rows that are read again by deleting and inserting them, so destination columns that the "
    "query does not fill lose their values. Upsert keeps them."
)

admin.site.register(ModuleHistory, ModuleHistoryAdmin)


class WatermarkInline(StackedInline):
    model = Watermark
    form = WatermarkForm
    extra = 0
    tab = True
    fields = [("name", "default_value"), "connection", "resolver_sql"]
    readonly_preprocess_fields = {"resolver_sql": html.code}
    autocomplete_fields = ["connection"]


class HookInline(StackedInline):
    model = Hook
    form = HookForm
    extra = 0
    tab = True
    fields = [("run_order", "run_on", "on_error"), "connection", "sql"]
    readonly_preprocess_fields = {"sql": html.code}
    autocomplete_fields = ["connection"]


@admin.register(Module)
class ModuleAdmin(BaseAdmin):
    form = ModuleForm
    inlines = [WatermarkInline, HookInline]
    list_display = ["name", "flow", "strategy", "in_groups", "enabled"]
    list_filter = [
        "enabled",
        ("merge_strategy", ChoicesDropdownFilter),
        ("source_connection", RelatedDropdownFilter),
        ("dest_connection", RelatedDropdownFilter),
        ("groups", RelatedDropdownFilter),
    ]
    list_fullwidth = True
    list_per_page = 50
    readonly_preprocess_fields = {"source_query": html.code}
    list_select_related = ["source_connection", "dest_connection"]
    search_fields = ["name", "dest_table", "source_query", "owner", "notes"]
    search_help_text = "Name, destination, SQL of the query, owner or notes"
    autocomplete_fields = ["source_connection", "dest_connection"]
    actions: list[Any] = ["enable", "disable"]
    buttons = [
        Button(action="enable", label="Enable", icon="toggle_on", title="Groups and schedules run it again"),
        Button(action="disable", label="Disable", icon="toggle_off", title="Groups and schedules skip it"),
    ]
    warn_unsaved_form = True
    empty_text = "A module syncs one table: it has a source query, a destination table and a merge strategy. Add one."
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
                    "full_publish",
                    "keep_previous",
                    "index_watermark",
                    "nul_bytes",
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
        modules: QuerySet[Module] = super().get_queryset(request)
        return modules.prefetch_related("groups")

    def related(self, row: Module) -> Iterable[tuple[str, str]]:
        for group in row.groups.all():
            yield f"Group {group}", html.page_of(group)

    def is_offered(self, button: Button, row: Any) -> bool:
        return {"enable": not row.enabled, "disable": row.enabled}.get(button.action, super().is_offered(button, row))

    @display(description="From → to", ordering="dest_table")
    def flow(self, module: Module) -> str:
        return html.render("modules/flow.html", module=module)

    @display(description="Strategy", ordering="merge_strategy")
    def strategy(self, module: Module) -> str:
        return html.two_lines(module.merge_strategy, f"by {module.merge_key}" if module.merge_key else "")

    @display(description="Groups")
    def in_groups(self, module: Module) -> str:
        return html.links((html.page_of(group), group.name) for group in module.groups.all()) or html.NOTHING

    @admin.action(description="Enable: groups and schedules run it", permissions=["change"])
    def enable(self, request: HttpRequest, modules: QuerySet[Module]) -> HttpResponse | None:
        return self._switch(request, modules, enabled=True)

    @admin.action(description="Disable: groups and schedules skip it", permissions=["change"])
    def disable(self, request: HttpRequest, modules: QuerySet[Module]) -> HttpResponse | None:
        return self._switch(request, modules, enabled=False)

    def _switch(self, request: HttpRequest, modules: QuerySet[Module], *, enabled: bool) -> HttpResponse | None:
        count = history.switch(modules, enabled=enabled, actor=_actor(request))
        text = f"{count} {'module' if count == 1 else 'modules'} {'enabled' if enabled else 'disabled'}."
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(html.page_of(modules[0])) if FROM_PAGE in request.POST else None

    def save_model(self, request: HttpRequest, obj: Module, form: Any, change: bool) -> None:
        form.before = history.begin(obj)
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        history.record(form.instance, form.before, actor=_actor(request))
        if traits_of(form.instance.merge_strategy).replaces_matches and "merge_strategy" in form.changed_data:
            self.message_user(request, _RESETS, messages.WARNING)
        if warning := watermark_types.warning(form.instance):
            self.message_user(request, warning, messages.WARNING)

    def delete_model(self, request: HttpRequest, obj: Module) -> None:
        history.delete(obj, actor=_actor(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Module]) -> None:
        for module in queryset:
            history.delete(module, actor=_actor(request))

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        context["show_history"] = request.user.has_perm("modules.view_modulehistory")
        module = context.get("original")
        if module and request.method == "GET" and (problem := validation.cron_problem(module)):
            self.message_user(request, f"The full refresh does not fire. {problem}", messages.WARNING)
        return super().render_change_form(request, context, *args, **kwargs)

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

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "module":
            kwargs["widget"] = KnownAutocomplete(db_field, self.admin_site, known=_members(request))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


def _members(request: HttpRequest) -> dict[str, str]:
    """Return the names of the modules of the page's group by primary key, in one query instead of one for each."""
    group = request.resolver_match.kwargs.get("object_id", "") if request.resolver_match else ""
    modules = Module.objects.filter(groups=int(group)) if str(group).isdecimal() else Module.objects.none()
    return {str(pk): name for pk, name in modules.values_list("pk", "name")}


@admin.register(Group)
class GroupAdmin(BaseAdmin):
    inlines = [GroupMemberInline]
    list_display = ["name", "member_count", "on_failure", "max_parallel"]
    list_filter = ["on_failure"]
    search_fields = ["name", "modules__name"]
    search_help_text = "Name of the group or of a module in it"
    fieldsets = [(None, {"fields": ["name", ("on_failure", "max_parallel")]})]
    warn_unsaved_form = True
    empty_text = "A group runs several modules in order, usually by a schedule. Add one."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        groups: QuerySet[Group] = super().get_queryset(request)
        members = GroupMember.objects.filter(group=OuterRef("pk")).order_by().values("group")
        return groups.annotate(size=Coalesce(Subquery(members.annotate(n=Count("pk")).values("n")), 0))

    def related(self, row: Group) -> Iterable[tuple[str, str]]:
        yield "Modules of this group", _modules_of(row)

    @display(description="Modules", ordering="size")
    def member_count(self, group: Any) -> str:
        return html.link(_modules_of(group), group.size) if group.size else "0"


def _modules_of(group: Group) -> str:
    return html.list_of("modules.module", groups__id__exact=group.pk)
