"""Filters of the admin lists of runs."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter

_TRIGGERS = {
    "manual": "A command",
    "admin": "The admin",
    "schedule:": "A schedule",
    "full_refresh": "A module's full refresh schedule",
    "retry": "A retry",
}


class StartedByFilter(DropdownFilter):
    """Filters by what started the run; the value ``schedule:7`` selects a single schedule."""

    title = "started by"
    parameter_name = "by"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = request.GET.get(self.parameter_name, "")
        one = {chosen: f"Schedule #{chosen.partition(':')[2]}"} if _is_single_schedule(chosen) else {}
        return [*_TRIGGERS.items(), *one.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if not chosen:
            return queryset
        lookup = "trigger" if _is_single_schedule(chosen) else "trigger__startswith"
        return queryset.filter(**{lookup: chosen})


def _is_single_schedule(chosen: str) -> bool:
    return chosen.startswith("schedule:") and chosen != "schedule:"
