"""What the pages of runs and group runs have in common: nothing is edited, counted or sorted there, much is found."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from modules.models import Group, Module
from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.model_admin import Page, ReadOnly, Verb
from runs.admin import formatting
from runs.admin.actions import CANCEL, MayRun
from runs.models import GroupRun, Run


class Columns:
    """What lists of runs, and of the runs of a group run, show alike."""

    @display(description="Status", ordering="status")
    def state(self, run: Run | GroupRun) -> SafeString:
        return formatting.badge(run)

    @display(description="Started")
    def began(self, run: Run | GroupRun) -> SafeString | str:
        return html.moment(run.started_at)

    @display(description="Took")
    def took(self, run: Run | GroupRun) -> str:
        return formatting.duration(run)


class RunColumns(Columns):
    @display(description="Rows")
    def rows(self, run: Run) -> SafeString | str:
        return formatting.brief_counts(run)

    @display(description="Error")
    def problem(self, run: Run) -> SafeString | str:
        return formatting.problem(run)


class HappenedPage(Columns, MayRun, ReadOnly, Page):
    """Lists without end: nothing is ever counted there, newest first by their numbers."""

    list_fullwidth = True
    list_per_page = 50
    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_disable_select_all = True
    # by anything else without an index it would be all of them
    sortable_by = ["number", "state"]
    row_verb: Verb | None = CANCEL
    # of the row: where the name is, and what has it
    name_field: str
    named: type[Module] | type[Group]

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[Any, bool]:
        """Find by number, else by name: modules and groups are few and looked through first, runs by index."""
        term = search_term.strip().removeprefix("#")
        if not term:
            return queryset, False
        if term.isdigit():
            return queryset.filter(pk=int(term[:18])), False
        owner = self.named._meta.model_name
        known = list(self.named._default_manager.filter(name__icontains=term).values_list("pk", flat=True))
        gone = Q(**{f"{owner}__isnull": True, f"{self.name_field}__icontains": term})
        return queryset.filter(Q(**{f"{owner}__in": known}) | gone), False

    @display(description="Run", ordering="pk")
    def number(self, run: Run | GroupRun) -> str:
        return f"#{run.pk}"

    @display(description="Started")
    def began_long(self, run: Run | GroupRun) -> SafeString | str:
        return html.moment(run.started_at, ago=True)

    @display(description="Ended")
    def ended(self, run: Run | GroupRun) -> SafeString | str:
        return html.moment(run.finished_at)

    @display(description="Started by")
    def asked_by(self, run: Run | GroupRun) -> SafeString | str:
        return formatting.trigger(run)

    @display(description="Started by")
    def asked_by_named(self, run: Run | GroupRun) -> SafeString | str:
        return formatting.trigger(run, named=True)

    @display(description="Error")
    def error_told(self, run: Run | GroupRun) -> SafeString | str:
        return formatting.error(run)

    @display(description="Last lines")
    def log_told(self, run: Run | GroupRun) -> SafeString | str:
        return formatting.log(run)
