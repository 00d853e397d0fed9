"""Notifications of modules that have not succeeded for too long; each is reported once until it succeeds again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from modules.models import Module
from runs.models import Run
from runs.models.notification import Notification, NotificationKind
from runs.models.setting import current_settings
from runs.models.states import Status
from runs.notify.messages import timestamp
from runs.notify.outbox import queue
from runs.notify.recipients import wanted_channels
from runs.notify.run_rules import started_manually


def find_late(
    now: dt.datetime, expected: Callable[[dt.datetime], QuerySet[Module]] = lambda since: ran_automatically()
) -> int:
    """Queue notifications of late modules and return how many are new; none unless `late_after_hours` is set.

    ``expected`` returns the modules that should have run automatically since a time, by default those that ever did;
    disabled ones are ignored. Safe to call repeatedly.
    """
    settings = current_settings()
    hours = settings.late_after_hours
    if hours is None or not (channels := wanted_channels(settings)):
        return 0
    hours = int(hours) if hours == int(hours) else hours
    since = now - dt.timedelta(hours=hours)
    overdue = late(since, expected(since))
    reported = _reported(overdue)
    new = {event: module for event, module in overdue.items() if event not in reported}
    for event, module in new.items():
        succeeded = timestamp(module.succeeded_at or module.created_at)  # type: ignore[attr-defined]
        about = {"at": timestamp(now), "since": succeeded, "hours": hours}
        queue(NotificationKind.LATE, channels, event=event, module=module, about=about, now=now)
    return len(new)


def late(limit: dt.datetime, modules: QuerySet[Module]) -> dict[str, Module]:
    """Return enabled modules without a success since ``limit``, by event key."""
    # a restore brings no rows of the source
    success = Run.objects.filter(module=OuterRef("pk"), status=Status.SUCCESS, restore=False).newest_first()
    candidates = modules.filter(enabled=True, created_at__lt=limit).annotate(
        succeeded_at=Subquery(success.values("finished_at")[:1]), succeeded=Subquery(success.values("pk")[:1])
    )
    overdue = candidates.filter(Q(succeeded_at=None) | Q(succeeded_at__lt=limit)).order_by("name").distinct()
    return {f"late:{module.pk}:{module.succeeded or 0}": module for module in overdue}


def ran_automatically() -> QuerySet[Module]:
    """Return modules that were ever started other than by a command on a terminal."""
    return Module.objects.filter(Exists(Run.objects.filter(module=OuterRef("pk")).exclude(started_manually())))


def _reported(overdue: dict[str, Module]) -> set[str]:
    """Return the event keys that are in the outbox already, on any channel."""
    rows = Notification.objects.filter(
        kind=NotificationKind.LATE, module__in=[module.pk for module in overdue.values()]
    )
    return {key.rpartition(":")[0] for key in rows.values_list("event_key", flat=True)}
