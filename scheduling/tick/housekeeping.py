"""The housekeeping of a tick: starts `prune` once a day and reports modules that have become overdue."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from modules.models import Group, Module
from runs import notify
from runs.launchers.launcher import configured_launcher
from scheduling.models import Schedule, Tick

# from this hour of the server's local time on
_HOUR = 3
# ticks must have come for this long: after a jump of the clock, `prune` could remove too much
_STEADY = dt.timedelta(hours=1)


def prune_daily(now: dt.datetime) -> bool:
    """Start `prune` in a new process unless it was started today; return whether it was started now."""
    local = timezone.localtime(now)
    today, steady = local.date(), Tick.objects.filter(pk=1, unbroken_since__lt=now - _STEADY)
    before = steady.values_list("pruned_on", flat=True).first()
    # of two concurrent ticks, the one whose update changes the row starts it
    if local.hour < _HOUR or not steady.exclude(pruned_on=today).update(pruned_on=today):
        return False
    try:
        configured_launcher().launch(["prune"], log=Path(settings.PIPEKIT.log_dir) / "prune.log")
    except Exception:
        # the next tick tries again
        Tick.objects.filter(pk=1, pruned_on=today).update(pruned_on=before)
        raise
    return True


def find_late(now: dt.datetime) -> int:
    """Queue notifications of late modules, including scheduled ones that have never run; return how many are new."""
    return notify.find_late(now, _expected)


def _expected(since: dt.datetime) -> QuerySet[Module]:
    """Return the modules that run by themselves: those that did before, and those scheduled before ``since``."""
    scheduled = Schedule.objects.enabled().filter(created_at__lt=since)
    groups = Group.objects.filter(schedules__in=scheduled)
    ran = notify.ran_automatically().filter(pk=OuterRef("pk"))
    return Module.objects.filter(
        Exists(ran)
        | Exists(scheduled.filter(module=OuterRef("pk")))
        | Exists(groups.filter(members__module=OuterRef("pk")))
        | Q(full_refresh_cron__gt="", updated_at__lt=since)
    )
