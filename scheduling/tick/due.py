"""What a cadence owes at a moment: nothing, one slot to fire, or slots that were missed. Pure.

The past is never fired for what is new, changed or switched on again; many missed slots are at most one run.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from dataclasses import dataclass
from itertools import islice

from scheduling.cron import expression as cron
from scheduling.models import CatchUp
from scheduling.triggers import Cadence

_MINUTE = dt.timedelta(minutes=1)
_INSTANT = dt.timedelta(microseconds=1)
# a tick may be a little late; more is a gap
GAP = dt.timedelta(minutes=3)
# missed for good; more is not counted: a year without ticks is no reason for a slow one
_COUNTED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A tick's view of time: its now, since when ticks have come every minute, how long a slot may be made up for."""

    now: dt.datetime
    unbroken_since: dt.datetime
    grace: dt.timedelta

    @property
    def this_minute(self) -> dt.datetime:
        """A moment before the slot of the current minute, and after all others."""
        return self.now.replace(second=0, microsecond=0) - _INSTANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """The latest slot, and whether it is to be fired or was missed, as ``missed_before`` earlier ones were.

    ``lost`` ones no run makes up for, the last of them at ``lost_until``.
    """

    slot: cron.Slot
    fire: bool
    missed_before: int
    lost: int = 0
    lost_until: dt.datetime | None = None


def owed(cadence: Cadence, clock: Clock) -> Owed | None:
    """Raise ConfigurationInvalid where expression or zone make no sense (any more)."""
    expression, zone = cron.parse(cadence.expression), cron.zone_of(cadence.zone)
    since = _since(cadence, clock)
    fired_from = max(since, first_to_fire(cadence, clock))
    lost = sum(1 for _ in islice(cron.slots(expression, zone, after=since, until=fired_from), _COUNTED))
    last = _last(expression, zone, since, fired_from) if lost else None
    window = deque(cron.slots(expression, zone, after=fired_from, until=clock.now), maxlen=1000)
    lost_until = last.at if last else None
    if window:
        return Owed(slot=window[-1], fire=True, missed_before=lost + len(window) - 1, lost=lost, lost_until=lost_until)
    if last is None:
        return None
    return Owed(slot=last, fire=False, missed_before=lost - 1, lost=lost, lost_until=lost_until)


def _since(cadence: Cadence, clock: Clock) -> dt.datetime:
    """Return the moment after which slots are this tick's to judge."""
    progress = cadence.progress
    if progress is not None and progress.seen_as == cadence.seen_as:
        since = progress.seen_until
    elif progress is None or (progress.seen_as and progress.seen_until < cadence.changed_at):
        since = cadence.changed_at
    else:
        # switched on again, or changed by a way that leaves no time
        since = max(clock.this_minute, cadence.changed_at)
    # the clock was set back, or somebody plays through another time: what has fired has its row
    return since if since <= clock.now else clock.this_minute


def first_to_fire(cadence: Cadence, clock: Clock) -> dt.datetime:
    """Return the moment before which a slot is missed for good."""
    if cadence.catch_up == CatchUp.NONE:
        return clock.unbroken_since.replace(second=0, microsecond=0) - _INSTANT
    return clock.now - clock.grace


def _last(expression: cron.Expression, zone: dt.tzinfo, since: dt.datetime, until: dt.datetime) -> cron.Slot:
    """Return the last slot in a stretch that has one: looked for in ever longer pieces of its end."""
    piece = _MINUTE
    while True:
        found = deque(cron.slots(expression, zone, after=max(since, until - piece), until=until), maxlen=1)
        if found:
            return found[0]
        piece *= 4
