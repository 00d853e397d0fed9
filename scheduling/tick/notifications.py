"""Queues notifications about timers: missed times, runs that were not started, schedules that cannot fire."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from runs import notify
from runs.notify import Missed
from scheduling.models import Slot
from scheduling.tick.due import DueSlot
from scheduling.tick.timers import Timer

_NO_TICK = "The scheduler was not running when it was due."
_NO_TICK_HINT = "Check whether this machine or cron was stopped; manage.py doctor shows whether the scheduler runs now."
_FIX_HINT = "After the problem is fixed, the schedule continues by itself; check with manage.py doctor."


def missed(due_slots: Sequence[tuple[Timer, DueSlot]], now: dt.datetime) -> None:
    """Report missed times that are not caught up; those that a later run catches up are not reported."""
    _queue(
        [
            _missed(timer, count=due.dropped, last=due.dropped_until, message=_NO_TICK, hint=_NO_TICK_HINT)
            for timer, due in due_slots
            if due.dropped
        ],
        now,
    )


def not_started_in_time(slots: Sequence[tuple[Timer, Slot]], now: dt.datetime) -> None:
    """Report reserved slots that were not started before they expired."""
    hint = "Start it manually if it cannot wait until the next time."
    _queue([_missed(timer, count=1, last=slot.due_at, message=slot.message, hint=hint) for timer, slot in slots], now)


def not_started(timer: Timer, slot: Slot, reason: str, now: dt.datetime) -> None:
    """Report a slot whose run could not be started."""
    message = f"It could not be started: {reason}"
    _queue([_missed(timer, count=1, last=slot.due_at, message=message, hint=_FIX_HINT)], now)


def cannot_fire(timer: Timer, reason: str, now: dt.datetime) -> None:
    """Report a timer whose times cannot be computed."""
    _queue([_missed(timer, count=0, last=None, message=f"It cannot fire: {reason}", hint=_FIX_HINT)], now)


def _queue(missed_times: list[Missed], now: dt.datetime) -> None:
    if missed_times:
        notify.on_missed(missed_times, now)


def _missed(timer: Timer, *, count: int, last: dt.datetime | None, message: str, hint: str) -> Missed:
    return Missed(
        key=timer.key,
        schedule=timer.name,
        module_id=timer.module_to_run or timer.module_id,
        module=timer.module_name,
        group=timer.group_name,
        count=count,
        last=last,
        message=message,
        hint=hint,
    )
