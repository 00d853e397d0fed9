"""QuerySets of schedules and slots."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from scheduling.models import Schedule, Slot  # noqa: F401 - named in the base classes


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    def enabled(self) -> ScheduleQuerySet:
        return self.filter(enabled=True)

    def with_target(self) -> ScheduleQuerySet:
        return self.select_related("group", "module")


class SlotQuerySet(models.QuerySet["Slot"]):
    def older_than(self, timestamp: dt.datetime) -> SlotQuerySet:
        return self.filter(due_at__lt=timestamp)

    def unstarted(self) -> SlotQuerySet:
        """Return reserved slots without a run, in the order in which they were due."""
        return self.filter(outcome="claimed").order_by("due_at", "pk")

    def recent(self, count: int = 10) -> SlotQuerySet:
        return self.order_by("-due_at", "-pk")[:count]
