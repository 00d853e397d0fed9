"""Ticks in simulated time: one after another, with runs that end at once and never start a process."""

from __future__ import annotations

import datetime as dt

from runs.models import GroupRun, Run
from scheduling.models import Schedule
from scheduling.tick.tick import run_tick
from tests.factories import ScheduleFactory, change_settings

START = dt.datetime(2027, 1, 11, 2, 59, 30, tzinfo=dt.UTC)
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)


def schedule(cron_expr: str = "0 4 * * *", **fields: object) -> Schedule:
    """Create a schedule that has existed since START."""
    row: Schedule = ScheduleFactory.create(cron_expr=cron_expr, **fields)
    Schedule.objects.filter(pk=row.pk).update(updated_at=START)
    return row


def finish_all() -> None:
    Run.objects.active().update(status="success")
    GroupRun.objects.active().update(status="success")


def play(start: dt.datetime, length: dt.timedelta, step: dt.timedelta = MINUTE) -> list[dt.datetime]:
    """Tick from ``start`` on for ``length``, ending all runs after each tick; return the times of what was started."""
    fired = []
    now = start
    while now <= start + length:
        fired += [now] * len(run_tick(now).started)
        finish_all()
        now += step
    return fired


def edit(row: Schedule, at: dt.datetime, **fields: object) -> None:
    """Change fields as if a user had saved the schedule at that time."""
    Schedule.objects.filter(pk=row.pk).update(updated_at=at, **fields)


def listened() -> None:
    """Configure a recipient, so that notifications are queued."""
    change_settings(notification_addresses=["ops@example.com"])
