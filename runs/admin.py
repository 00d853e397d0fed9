"""Runs, group runs and settings in the admin. What happened is looked at here, never edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter, RelatedDropdownFilter
from unfold.decorators import display

from connections.widgets import code
from runs import actions, presenting, settings
from runs.forms import SettingForm
from runs.models import GroupRun, Run, Setting
from runs.notifying.admin import NotificationAdmin as NotificationAdmin


class _ReadOnly:
    """Rows that only runs themselves write."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="Status", ordering="status")
    def state(self, run: Run | GroupRun) -> SafeString:
        return presenting.badge(run)

    @display(description="Took")
    def took(self, run: Run | GroupRun) -> str:
        return presenting.duration(run)


class _RunColumns:
    @display(description="Read", ordering="read")
    def rows_read(self, run: Run) -> str:
        return presenting.count(run.read)

    @display(description="Error")
    def problem(self, run: Run) -> str:
        return run.error.get("message", "")[:100] if run.error else ""


@admin.register(Run)
class RunAdmin(_ReadOnly, _RunColumns, ModelAdmin):
    list_display = [
        "number",
        "module_name",
        "state",
        "strategy",
        "trigger",
        "started_at",
        "took",
        "rows_read",
        "rows_inserted",
        "rows_updated",
        "rows_deleted",
        "problem",
    ]
    list_display_links = ["number", "module_name"]
    list_filter = [
        ("status", ChoicesDropdownFilter),
        ("module", RelatedDropdownFilter),
        ("started_at", RangeDateTimeFilter),
    ]
    list_filter_submit = True
    list_fullwidth = True
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["module_name", "trigger", "actor"]
    fieldsets = [
        (None, {"fields": [("module_name", "state", "trigger"), ("started_at", "finished_at", "took"), "counts"]}),
        ("SQL", {"fields": ["watermarks_told", "source_sql", "destination_sql"]}),
        (
            "How it ran",
            {
                "fields": [
                    "steps_told",
                    "attempts_told",
                    "how",
                    ("actor", "attempt", "group_run"),
                    ("process", "log_path"),
                    "log_told",
                ]
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        found: Any = super().get_queryset(request)
        listed = request.resolver_match and str(request.resolver_match.url_name).endswith("_changelist")
        return found.with_module().without_texts() if listed else found.with_module()

    def get_fieldsets(self, request: HttpRequest, obj: Run | None = None) -> Any:
        told = {"error_told": obj and obj.error, "warnings_told": obj and obj.warnings}
        fields = [field for field, found in told.items() if found]
        first, *rest = self.fieldsets
        return [first, ("What to look at", {"fields": fields}), *rest] if fields else self.fieldsets

    @display(description="Run", ordering="pk")
    def number(self, run: Run) -> str:
        return f"#{run.pk}"

    @display(description="Inserted", ordering="inserted")
    def rows_inserted(self, run: Run) -> str:
        return presenting.count(run.inserted)

    @display(description="Updated", ordering="updated")
    def rows_updated(self, run: Run) -> str:
        return presenting.count(run.updated)

    @display(description="Deleted", ordering="deleted")
    def rows_deleted(self, run: Run) -> str:
        return presenting.count(run.deleted)

    @display(description="Rows")
    def counts(self, run: Run) -> SafeString:
        return presenting.counts(run)

    @display(description="Error")
    def error_told(self, run: Run) -> SafeString | str:
        return presenting.error(run)

    @display(description="Warnings")
    def warnings_told(self, run: Run) -> SafeString | str:
        return presenting.warnings(run)

    @display(description="Watermarks, before → after")
    def watermarks_told(self, run: Run) -> SafeString | str:
        return presenting.watermarks(run)

    @display(description="Sent to the source")
    def source_sql(self, run: Run) -> SafeString | str:
        return code(run.source_query)

    @display(description="Executed on the destination")
    def destination_sql(self, run: Run) -> SafeString | str:
        return code(run.merge_sql)

    @display(description="Strategy")
    def how(self, run: Run) -> str:
        flags = {"dry run": run.dry_run, "full refresh asked for": run.full_refresh, "safety limits off": run.force}
        return ", ".join([run.strategy or presenting.NOTHING, *(word for word, on in flags.items() if on)])

    @display(description="Steps")
    def steps_told(self, run: Run) -> SafeString | str:
        return presenting.steps(run)

    @display(description="Tried again")
    def attempts_told(self, run: Run) -> SafeString | str:
        return presenting.attempts(run)

    @display(description="Log, its end")
    def log_told(self, run: Run) -> SafeString | str:
        return code(presenting.log_end(run))

    @display(description="Process")
    def process(self, run: Run) -> str:
        return presenting.process(run)


class RunInline(_ReadOnly, _RunColumns, TabularInline):
    model = Run
    extra = 0
    fields = ["module_name", "state", "started_at", "took", "rows_read", "problem"]
    readonly_fields = fields
    show_change_link = True
    verbose_name_plural = "Runs"
    ordering = ["pk"]


@admin.register(GroupRun)
class GroupRunAdmin(_ReadOnly, ModelAdmin):
    inlines = [RunInline]
    list_display = ["number", "group_name", "state", "trigger", "started_at", "took", "run_count"]
    list_display_links = ["number", "group_name"]
    list_filter = [("status", ChoicesDropdownFilter), ("group", RelatedDropdownFilter)]
    list_filter_submit = True
    list_select_related = ["group"]
    show_full_result_count = False
    search_fields = ["group_name", "trigger", "actor"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("group_name", "state", "trigger"),
                    ("started_at", "finished_at", "took"),
                    "actor",
                    "left_out",
                ]
            },
        )
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[GroupRun]:
        found: QuerySet[GroupRun] = super().get_queryset(request)
        return found.annotate(size=Count("runs"))

    @display(description="Group run", ordering="pk")
    def number(self, run: GroupRun) -> str:
        return f"#{run.pk}"

    @display(description="Left out")
    def left_out(self, run: GroupRun) -> str:
        return "; ".join(f"{left['module']} ({left['why']})" for left in run.skipped) or presenting.NOTHING

    @display(description="Runs", ordering="size")
    def run_count(self, run: Any) -> int:
        return int(run.size)


@admin.register(Setting)
class SettingAdmin(ModelAdmin):
    form = SettingForm
    list_display = ["key", "meaning", "value"]
    fields = ["key", "value"]

    def get_readonly_fields(self, request: HttpRequest, obj: Setting | None = None) -> list[str]:
        return ["key"] if obj else []

    @display(description="Meaning")
    def meaning(self, setting: Setting) -> str:
        key = settings.KEYS.get(setting.key)
        return f"{key.label} (default: {key.default})" if key else "no longer used"


actions.offer()
