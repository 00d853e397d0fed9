"""Modules that are expected to run automatically: those that ever did, and those that a schedule should run."""

from __future__ import annotations

import datetime as dt

from django.db.models import Exists, OuterRef, Q, QuerySet

from modules.models import Group, Module
from runs import notify
from runs.settings import current
from scheduling.models import Schedule


def find_late(now: dt.datetime) -> int:
    """Queue notifications of late modules, including scheduled ones that have never run; return how many are new."""
    hours = current().late_after_hours
    return 0 if hours is None else notify.find_late(now, _expected(now - dt.timedelta(hours=hours)))


def _expected(since: dt.datetime) -> QuerySet[Module]:
    """Return these modules; schedules created after ``since`` do not count yet."""
    scheduled = Schedule.objects.enabled().filter(created_at__lt=since)
    groups = Group.objects.filter(schedules__in=scheduled)
    ran = notify.ran_automatically().filter(pk=OuterRef("pk"))
    return Module.objects.filter(
        Exists(ran)
        | Exists(scheduled.filter(module=OuterRef("pk")))
        | Exists(groups.filter(members__module=OuterRef("pk")))
        | Q(full_refresh_cron__gt="", updated_at__lt=since)
    )
