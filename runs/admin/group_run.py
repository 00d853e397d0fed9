"""Group runs in the admin, with the runs they made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display

from modules.models import Group
from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.model_admin import ReadOnly, Verb
from runs.admin.actions import CANCEL, cancel
from runs.admin.base import HappenedPage, RunColumns
from runs.admin.filters import StartedByFilter
from runs.models import GroupRun, Run
from runs.models.querysets import GroupRunQuerySet
from runs.models.states import GROUP_ACTIVE


class RunInline(RunColumns, ReadOnly, TabularInline):
    model = Run
    extra = 0
    hide_title = True
    fields = ["run", "state", "began", "took", "rows", "problem"]
    readonly_fields = fields
    verbose_name_plural = "Runs"
    ordering = ["pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        found: Any = super().get_queryset(request)
        return found.without_texts()

    @display(description="Module")
    def run(self, run: Run) -> SafeString | str:
        return html.row_link(run)


@admin.register(GroupRun)
class GroupRunAdmin(HappenedPage):
    name_field, named = "group_name", Group
    inlines = [RunInline]
    list_display = ["number", "group_name", "state", "asked_by", "began", "took", "outcomes"]
    list_display_links = ["number", "group_name"]
    list_filter = [("status", ChoicesDropdownFilter), ("group", AutocompleteSelectFilter), StartedByFilter]
    search_fields = ["group_name"]
    search_help_text = "Group, or number of the group run"
    actions = [cancel]
    verbs = [CANCEL]
    empty_says = "Every run of a group is written down here. Nothing ran yet: open a group and press “Run now”."
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("group_link", "state", "outcomes"),
                    ("began_long", "ended", "took"),
                    "asked_by_named",
                ]
            },
        )
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[GroupRun]:
        found: GroupRunQuerySet = super().get_queryset(request)
        return found.select_related("group").with_outcomes()

    def get_fieldsets(self, request: HttpRequest, obj: GroupRun | None = None) -> Any:
        told = {"error_told": obj and obj.error, "left_out": obj and obj.skipped}
        fields = [field for field, found in told.items() if found]
        look = [("What to look at", {"fields": fields})] if fields else []
        return [*self.fieldsets, *look, ("Log", {"classes": ["collapse"], "fields": ["log_told"]})]

    def is_offered(self, verb: Verb, row: GroupRun) -> bool:
        return not row.is_final

    def is_changing(self, row: GroupRun) -> bool:
        return row.status in GROUP_ACTIVE

    def related(self, row: GroupRun) -> Iterable[tuple[str, str]]:
        if row.group is not None:
            yield f"Group {row.group}", html.page_of(row.group)
            yield "All its runs", html.list_of("runs.grouprun", group__id__exact=row.group.pk)
        yield "Its runs as a list", html.list_of("runs.run", group_run__id__exact=row.pk)

    @display(description="Group")
    def group_link(self, run: GroupRun) -> SafeString | str:
        return html.row_link(run.group) if run.group else f"{run.group_name}, which is deleted"

    @display(description="Left out")
    def left_out(self, run: GroupRun) -> SafeString:
        rows = ((left["module"], left["why"]) for left in run.skipped)
        return format_html_join("", "<div><b>{}</b>: {}</div>", rows)

    @display(description="Runs")
    def outcomes(self, run: Any) -> SafeString | str:
        total = f"of {len(run.members)}" if run.members else ""
        failed = format_html(', <span class="pk-bad">{} not</span>', run.failed_runs) if run.failed_runs else ""
        return format_html("{} {} succeeded{}", run.good_runs, total, failed)
