"""Determines what is due for a timer at a given time: nothing, a slot to start, or missed slots. Pure functions.

A timer that is new, changed or enabled again is never started for times in the past, and any number of missed slots
is caught up by at most one run.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from itertools import islice

from connections.sdk.records import dataclass
from modules.cron import expression as cron
from scheduling.models import CatchUp
from scheduling.tick.timers import Timer

_MINUTE = dt.timedelta(minutes=1)
_RESOLUTION = dt.timedelta(microseconds=1)
# ticks may be this far apart; more is an interruption
GAP = dt.timedelta(minutes=3)
# missed slots are counted up to this number, so that a tick after a long interruption is not slow
_MAX_COUNT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TickTimes:
    """The times of a tick: now, since when ticks have come every minute, and how long a slot can be caught up."""

    now: dt.datetime
    unbroken_since: dt.datetime
    grace: dt.timedelta

    @property
    def this_minute(self) -> dt.datetime:
        """A time just before the slot of the current minute and after all earlier ones."""
        return self.now.replace(second=0, microsecond=0) - _RESOLUTION


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSlot:
    """The latest slot, whether to start it (``fire``) or it was missed, and how many earlier ones were missed.

    ``dropped`` of the missed slots are not caught up by any run, the last of them at ``dropped_until``.
    """

    slot: cron.Slot
    fire: bool
    missed_before: int
    dropped: int = 0
    dropped_until: dt.datetime | None = None


def due_slot(timer: Timer, times: TickTimes) -> DueSlot | None:
    """Return what is due, or None. Raise ConfigurationInvalid if the expression or time zone is invalid."""
    expression, zone = cron.parse(timer.expression), cron.zone_of(timer.zone)
    since = _since(timer, times)
    fired_from = max(since, first_to_fire(timer, times))
    dropped = sum(1 for _ in islice(cron.slots(expression, zone, after=since, until=fired_from), _MAX_COUNT))
    last = _last(expression, zone, since, fired_from) if dropped else None
    window = deque(cron.slots(expression, zone, after=fired_from, until=times.now), maxlen=1000)
    dropped_until = last.at if last else None
    if window:
        return DueSlot(
            slot=window[-1],
            fire=True,
            missed_before=dropped + len(window) - 1,
            dropped=dropped,
            dropped_until=dropped_until,
        )
    if last is None:
        return None
    return DueSlot(slot=last, fire=False, missed_before=dropped - 1, dropped=dropped, dropped_until=dropped_until)


def _since(timer: Timer, times: TickTimes) -> dt.datetime:
    """Return the time after which slots have not been evaluated yet."""
    progress = timer.progress
    if progress is not None and progress.seen_as == timer.seen_as:
        since = progress.seen_until
    elif progress is None or (progress.seen_as and progress.seen_until < timer.changed_at):
        since = timer.changed_at
    else:
        # enabled again, or changed without updating `updated_at`
        since = max(times.this_minute, timer.changed_at)
    # now is in the past (clock set back, or tick --at): slots that were started have their rows
    return since if since <= times.now else times.this_minute


def first_to_fire(timer: Timer, times: TickTimes) -> dt.datetime:
    """Return the time before which a slot is not caught up any more."""
    if timer.catch_up == CatchUp.NONE:
        return times.unbroken_since.replace(second=0, microsecond=0) - _RESOLUTION
    return times.now - times.grace


def _last(expression: cron.Expression, zone: dt.tzinfo, since: dt.datetime, until: dt.datetime) -> cron.Slot:
    """Return the last slot of a period that has at least one, searching ever longer parts of its end."""
    period = _MINUTE
    while True:
        last = deque(cron.slots(expression, zone, after=max(since, until - period), until=until), maxlen=1)
        if last:
            return last[0]
        period *= 4
