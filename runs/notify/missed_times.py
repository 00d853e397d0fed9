"""Notifications of schedules that missed a time; at most one a day for each schedule."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence

from django.db import transaction

from connections.sdk.records import dataclass
from runs.models.notification import Channel, Notification, NotificationKind
from runs.models.setting import current_settings
from runs.notify.messages import line, timestamp
from runs.notify.outbox import rows
from runs.notify.recipients import wanted_channels

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """The missed times of one schedule. ``key`` identifies the schedule for good, ``schedule`` is its name now."""

    key: str
    schedule: str
    # the module or group that it would have run
    module_id: int | None = None
    module: str = ""
    group: str = ""
    # how many times were missed and the last of them; 0 if the schedule cannot fire at all
    count: int = 1
    last: dt.datetime | None = None
    message: str = ""
    hint: str = ""


def on_missed(missed: Sequence[Missed], now: dt.datetime) -> None:
    """Queue notifications of missed times. Its own errors are logged and do not interrupt the tick."""
    try:
        channels = wanted_channels(current_settings())
        new = [row for each in missed for row in _rows(each, now, channels)] if channels else []
        with transaction.atomic():
            Notification.objects.bulk_create(new, ignore_conflicts=True)
    except Exception:
        _log.exception("The missed times of %s schedules could not be written into the outbox.", len(missed))


def _rows(missed: Missed, now: dt.datetime, channels: Sequence[Channel]) -> list[Notification]:
    about = {
        "event": str(NotificationKind.MISSED),
        "module": missed.module or None,
        **({"group": missed.group} if missed.group else {}),
        "schedule": missed.schedule,
        "missed": missed.count,
        "due": timestamp(missed.last),
        "at": timestamp(now),
        "error": {"code": "missed", "message": line(missed.message, 2000), "hint": line(missed.hint, 1000)},
    }
    # one a day: a schedule may miss every minute of a day
    event = f"missed:{missed.key}:{now.astimezone(dt.UTC):%Y-%m-%d}"
    named = {"module_id": missed.module_id, "module_name": missed.module}
    return rows(NotificationKind.MISSED, channels, event=event, about=about, now=now, **named)
