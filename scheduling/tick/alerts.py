"""Hands what schedules did not do to the outbox: times that were missed, and why one cannot fire."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from runs import notify
from runs.notify import Missed
from scheduling.models import Slot
from scheduling.tick.due import Owed
from scheduling.triggers import Cadence

_WHO_TICKS = "Was this machine off, or cron? manage.py doctor says whether somebody ticks now."
_MENDED = "Once that is mended, it goes on by itself: manage.py doctor."


def missed(found: Sequence[tuple[Cadence, Owed]], now: dt.datetime) -> None:
    """Tell of times that no run makes up for; those that one run makes up for are not worth it."""
    _tell(
        [
            _of(cadence, count=due.lost, last=due.lost_until, message="Nobody ticked when it was due.", hint=_WHO_TICKS)
            for cadence, due in found
            if due.lost
        ],
        now,
    )


def left_over(found: Sequence[tuple[Cadence, Slot]], now: dt.datetime) -> None:
    hint = "Start it by hand if that cannot wait."
    told = [_of(cadence, count=1, last=slot.due_at, message=slot.message, hint=hint) for cadence, slot in found]
    _tell(told, now)


def not_started(cadence: Cadence, slot: Slot, why: str, now: dt.datetime) -> None:
    _tell([_of(cadence, count=1, last=slot.due_at, message=f"It could not be started: {why}", hint=_MENDED)], now)


def cannot_fire(cadence: Cadence, why: str, now: dt.datetime) -> None:
    _tell([_of(cadence, count=0, last=None, message=f"It cannot fire: {why}", hint=_MENDED)], now)


def _tell(found: list[Missed], now: dt.datetime) -> None:
    if found:
        notify.on_missed(found, now)


def _of(cadence: Cadence, *, count: int, last: dt.datetime | None, message: str, hint: str) -> Missed:
    return Missed(
        key=cadence.key,
        schedule=cadence.name,
        module_id=cadence.module_to_run or cadence.module_id,
        module=cadence.module_name,
        group=cadence.group_name,
        count=count,
        last=last,
        message=message,
        hint=hint,
    )
