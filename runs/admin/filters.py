"""Filters of the lists of runs."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter

_KINDS = {
    "manual": "A command",
    "admin": "The admin",
    "schedule:": "A schedule",
    "full_refresh": "A module's full refresh cadence",
    "retry": "A retry",
}


class StartedByFilter(DropdownFilter):
    """By who or what asked for the run; ``schedule:7`` in the address is that one schedule."""

    title = "started by"
    parameter_name = "by"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = request.GET.get(self.parameter_name, "")
        one = {chosen: f"Schedule #{chosen.partition(':')[2]}"} if _is_one(chosen) else {}
        return [*_KINDS.items(), *one.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if not chosen:
            return queryset
        return queryset.filter(trigger=chosen) if _is_one(chosen) else queryset.filter(trigger__startswith=chosen)


def _is_one(chosen: str) -> bool:
    return chosen.startswith("schedule:") and chosen != "schedule:"
