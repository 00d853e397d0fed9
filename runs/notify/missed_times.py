"""Times at which something was to run and nothing did: told at most once a day for each schedule."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from runs.models.notification import Notification, NotificationKind
from runs.notify.messages import line
from runs.notify.outbox import rows, wanted_channels

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """What a schedule did not do. ``key`` names the schedule for good, ``schedule`` as people do."""

    key: str
    schedule: str
    # what would have run: a module or a group
    module_id: int | None = None
    module: str = ""
    group: str = ""
    # how many times, the last of them then; 0 where that cannot be told
    count: int = 1
    last: dt.datetime | None = None
    message: str = ""
    hint: str = ""


def on_missed(found: Sequence[Missed], now: dt.datetime) -> None:
    """Queue what was missed. It only inserts rows; a failure of its own is logged and keeps no tick from its work."""
    try:
        channels = wanted_channels()
        new = [row for missed in found for row in _rows(missed, now, channels)] if channels else []
        with transaction.atomic():
            Notification.objects.bulk_create(new, ignore_conflicts=True)
    except Exception:
        _log.exception("What %s schedules missed could not be written into the outbox.", len(found))


def _rows(missed: Missed, now: dt.datetime, channels: Sequence[Any]) -> list[Notification]:
    about = {
        "event": str(NotificationKind.MISSED),
        "module": missed.module or None,
        **({"group": missed.group} if missed.group else {}),
        "schedule": missed.schedule,
        "missed": missed.count,
        "due": _iso(missed.last),
        "at": _iso(now),
        "error": {"code": "missed", "message": line(missed.message, 2000), "hint": line(missed.hint, 1000)},
    }
    # more of the same day says nothing new, and a schedule may miss every minute of it
    event = f"missed:{missed.key}:{now.astimezone(dt.UTC):%Y-%m-%d}"
    named = {"module_id": missed.module_id, "module_name": missed.module}
    return rows(NotificationKind.MISSED, channels, event=event, about=about, now=now, **named)


def _iso(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(dt.UTC).isoformat(timespec="seconds")
