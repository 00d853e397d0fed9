"""Group runs in the admin, with the runs of their members."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display

from modules.models import Group
from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.model_admin import Button, ReadOnlyMixin
from runs.admin.actions import CANCEL, cancel
from runs.admin.base import RunColumns, RunHistoryAdmin, StartedByFilter
from runs.models import GroupRun, Run
from runs.models.querysets import GroupRunQuerySet
from runs.models.states import GROUP_ACTIVE


class RunInline(RunColumns, ReadOnlyMixin, TabularInline):
    model = Run
    extra = 0
    hide_title = True
    fields = ["run", "state", "started", "duration", "rows", "problem"]
    readonly_fields = fields
    verbose_name_plural = "Runs"
    ordering = ["pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        runs: Any = super().get_queryset(request)
        return runs.without_texts()

    @display(description="Module")
    def run(self, run: Run) -> str:
        return html.row_link(run)


@admin.register(GroupRun)
class GroupRunAdmin(RunHistoryAdmin):
    name_field, named = "group_name", Group
    inlines = [RunInline]
    list_display = ["number", "group_name", "state", "started_by", "started", "duration", "member_results"]
    list_display_links = ["number", "group_name"]
    list_filter = [("status", ChoicesDropdownFilter), ("group", AutocompleteSelectFilter), StartedByFilter]
    search_fields = ["group_name"]
    search_help_text = "Group, or number of the group run"
    actions = [cancel]
    buttons = [CANCEL]
    empty_text = "No group has run yet. To start one, open a group and press “Run now”."
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("group_link", "state", "member_results"),
                    ("started_ago", "ended", "duration"),
                    "started_by_current_name",
                ]
            },
        )
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[GroupRun]:
        group_runs: GroupRunQuerySet = super().get_queryset(request)
        return group_runs.select_related("group").with_outcomes()

    def get_fieldsets(self, request: HttpRequest, obj: GroupRun | None = None) -> Any:
        log = ("Log", {"classes": ["collapse"], "fields": ["log_text"]})
        return [*self.fieldsets, *self.problems(obj, "skipped"), log]

    def is_offered(self, button: Button, row: GroupRun) -> bool:
        return not row.is_final

    def is_changing(self, row: GroupRun) -> bool:
        return row.status in GROUP_ACTIVE

    def related(self, row: GroupRun) -> Iterable[tuple[str, str]]:
        if row.group is not None:
            yield f"Group {row.group}", html.page_of(row.group)
            yield "All runs of this group", html.list_of("runs.grouprun", group__id__exact=row.group.pk)
        yield "Runs of its members", html.list_of("runs.run", group_run__id__exact=row.pk)

    @display(description="Group")
    def group_link(self, run: GroupRun) -> str:
        return html.row_link(run.group) if run.group else f"{run.group_name} (deleted)"

    @display(description="Skipped")
    def skipped_text(self, run: GroupRun) -> str:
        return html.render("runs/skipped_members.html", skipped=run.skipped)

    @display(description="Runs")
    def member_results(self, run: Any) -> str:
        total = f"of {len(run.members)}" if run.members else ""
        return html.render("runs/group_member_results.html", good=run.good_runs, total=total, failed=run.failed_runs)
