"""List filter by a range of timestamps in the machine's time zone."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import RangeDateTimeFilter


class TimestampRangeFilter(RangeDateTimeFilter):
    """Filters by a range of dates with optional times; a date alone includes the whole day."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        bounds = {"gte": self._bound("from", dt.time.min), "lte": self._bound("to", dt.time.max)}
        filters = {f"{self.parameter_name}__{lookup}": bound for lookup, bound in bounds.items() if bound}
        return queryset.filter(**filters)

    def _bound(self, side: str, default: dt.time) -> dt.datetime | None:
        """Return one bound of the range; None if it is missing or invalid."""
        day, hour = (self.used_parameters.get(f"{self.parameter_name}_{side}_{part}") or "" for part in (0, 1))
        try:
            time = dt.time.fromisoformat(hour) if hour else default
            return timezone.make_aware(dt.datetime.combine(dt.date.fromisoformat(day), time)) if day else None
        except ValueError:
            return None
