"""Read-only admin base of runs, group runs and verifications: no COUNT(*), search by id or name."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from modules.models import Group, Module
from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.model_admin import BaseAdmin, Button, ReadOnlyMixin
from runs.admin import formatting
from runs.admin.actions import CANCEL, MayRun
from runs.models import GroupRun, Run
from runs.models.execution import Execution, StartedBy
from runs.models.verification import Verification

# the value of the filter for any schedule
_ANY_SCHEDULE = f"{StartedBy.SCHEDULE}:"


class StateColumns:
    """Columns shared by the lists of runs, group runs and verifications."""

    @display(description="Status", ordering="status")
    def state(self, run: Run | GroupRun) -> str:
        return formatting.badge(run)

    @display(description="Started")
    def started(self, run: Run | GroupRun) -> str:
        return html.timestamp(run.started_at)

    @display(description="Duration")
    def duration(self, run: Run | GroupRun) -> str:
        return formatting.duration(run)


class RunColumns(StateColumns):
    @display(description="Rows")
    def rows(self, run: Run) -> str:
        return formatting.brief_counts(run)

    @display(description="Error")
    def problem(self, run: Run) -> str:
        return formatting.problem(run)


class StartedByFilter(DropdownFilter):
    """Filters by what started the run; the value ``schedule:7`` selects a single schedule."""

    title = "started by"
    parameter_name = "by"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = request.GET.get(self.parameter_name, "")
        one = {chosen: f"Schedule #{chosen.partition(':')[2]}"} if _is_single_schedule(chosen) else {}
        kinds = ((_ANY_SCHEDULE if kind is StartedBy.SCHEDULE else kind.value, kind.label) for kind in StartedBy)
        return [*((value, str(label).capitalize()) for value, label in kinds), *one.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if not chosen:
            return queryset
        lookup = "trigger" if _is_single_schedule(chosen) else "trigger__startswith"
        return queryset.filter(**{lookup: chosen})


def _is_single_schedule(chosen: str) -> bool:
    return chosen.startswith(_ANY_SCHEDULE) and chosen != _ANY_SCHEDULE


class RunHistoryAdmin(StateColumns, MayRun, ReadOnlyMixin, BaseAdmin):
    """Base of admin pages of tables that grow without limit: rows are never counted, the newest come first."""

    list_fullwidth = True
    list_per_page = 50
    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_disable_select_all = True
    # other columns have no index, so sorting by them would read the whole table
    sortable_by = ["number", "state"]
    row_button: Button | None = CANCEL
    # the field with the name of the module or group, and the model that it names
    name_field: str
    named: type[Module] | type[Group]

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[Any, bool]:
        """Search by id, else by name: first the few modules or groups, then their rows by index."""
        term = search_term.strip().removeprefix("#")
        if not term:
            return queryset, False
        if term.isdecimal():
            return queryset.filter(pk=int(term[:18])), False
        owner = self.named._meta.model_name
        matches = list(self.named._default_manager.filter(name__icontains=term).values_list("pk", flat=True))
        deleted = Q(**{f"{owner}__isnull": True, f"{self.name_field}__icontains": term})
        return queryset.filter(Q(**{f"{owner}__in": matches}) | deleted), False

    def problems(self, row: Execution | None, other: str) -> list[Any]:
        """Return a fieldset with the row's error and the field ``other``, those that have a value; else no fieldset."""
        fields = [f"{name}_text" for name in ("error", other) if row is not None and getattr(row, name)]
        return [("Problems", {"fields": fields})] if fields else []

    @display(description="Run", ordering="pk")
    def number(self, run: Run | GroupRun) -> str:
        return f"#{run.pk}"

    @display(description="Started")
    def started_ago(self, run: Run | GroupRun) -> str:
        return html.timestamp(run.started_at, ago=True)

    @display(description="Ended")
    def ended(self, run: Run | GroupRun) -> str:
        return html.timestamp(run.finished_at)

    @display(description="Started by")
    def started_by(self, run: Run | GroupRun) -> str:
        return formatting.trigger(run)

    @display(description="Started by")
    def started_by_current_name(self, run: Run | GroupRun) -> str:
        return formatting.trigger(run, named=True)

    @display(description="Module")
    def module_link(self, run: Run | Verification) -> str:
        return html.row_link(run.module) if run.module else f"{run.module_name} (deleted)"

    @display(description="Warnings")
    def warnings_text(self, run: Run | Verification) -> str:
        return formatting.warnings(run)

    @display(description="Error")
    def error_text(self, run: Run | GroupRun) -> str:
        return formatting.error(run)

    @display(description="Last lines")
    def log_text(self, run: Run | GroupRun) -> str:
        return formatting.log(run)
