"""A filter of lists by a range of moments, by the machine's clock; a day alone is the whole day."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import RangeDateTimeFilter


class MomentRangeFilter(RangeDateTimeFilter):
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        bounds = {"gte": self._moment("from", dt.time.min), "lte": self._moment("to", dt.time.max)}
        found = {f"{self.parameter_name}__{bound}": moment for bound, moment in bounds.items() if moment}
        return queryset.filter(**found)

    def _moment(self, side: str, whole_day: dt.time) -> dt.datetime | None:
        """Return one end of the range; what makes no sense is no end."""
        day, hour = (self.used_parameters.get(f"{self.parameter_name}_{side}_{part}") or "" for part in (0, 1))
        try:
            chosen = dt.time.fromisoformat(hour) if hour else whole_day
            return timezone.make_aware(dt.datetime.combine(dt.date.fromisoformat(day), chosen)) if day else None
        except ValueError:
            return None
