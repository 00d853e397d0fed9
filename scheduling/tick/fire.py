"""One tick's schedules: judge them all, write down what was missed, start as many as may start.

A slot is claimed first and started in the transaction that inserts its run: however a tick dies, a slot that is still
claimed has no run, and the next tick takes it over.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from runs.engine.faults import point
from runs.settings import setting
from scheduling import triggers
from scheduling.models import Outcome, Slot
from scheduling.tick import alerts, slots, unstarted
from scheduling.tick.due import GAP, Clock, Owed, owed
from scheduling.tick.report import TickReport
from scheduling.tick.start import Started
from scheduling.triggers import Cadence

# how long one tick may be busy starting: each start may first have to settle a dead run at its destination
_SECONDS = 40.0
_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Judged:
    """What each cadence owes; ``idle`` ones owe nothing."""

    fires: list[tuple[Cadence, Owed]]
    missed: list[tuple[Cadence, Owed]]
    idle: list[Cadence]


def fire(clock: Clock) -> TickReport:
    """Do all that is due at the clock's now."""
    report = TickReport(at=clock.now)
    triggers.switch_off(clock.now)
    enabled = triggers.enabled()
    judged = _judged(enabled, clock, report)
    point("tick.judged")
    _miss(judged.missed, clock, report)
    slots.move_on(judged.idle, clock.now)
    left = unstarted.sort_out(enabled, clock, due={cadence.key: due.slot.key for cadence, due in judged.fires})
    report.missed += [cadence.name for cadence, _ in left.missed]
    _start(left.again, judged.fires, clock, report)
    return report


def _judged(enabled: Sequence[Cadence], clock: Clock, report: TickReport) -> _Judged:
    judged = _Judged(fires=[], missed=[], idle=[])
    for cadence in enabled:
        try:
            due = owed(cadence, clock)
        except Exception as error:  # one bad schedule stops no other
            report.failed[cadence.name] = said = slots.keep_error(cadence, error)
            alerts.cannot_fire(cadence, said, clock.now)
            continue
        if due is None:
            judged.idle.append(cadence)
        else:
            (judged.fires if due.fire else judged.missed).append((cadence, due))
    return judged


def _miss(missed: Sequence[tuple[Cadence, Owed]], clock: Clock, report: TickReport) -> None:
    slots.miss(missed, clock.now)
    report.missed = [cadence.name for cadence, _ in missed]


def _start(
    again: Sequence[tuple[Cadence, Slot]], fires: list[tuple[Cadence, Owed]], clock: Clock, report: TickReport
) -> None:
    """Start what is due, up to the cap. What is left is not moved on, so the next tick finds it."""
    # what has just become due goes before what is made up for
    fires.sort(key=lambda fire: (fire[1].slot.at < clock.unbroken_since - GAP, fire[1].slot.at))
    most, tried, until = setting("runs_per_tick"), 0, time.monotonic() + _SECONDS
    # what is claimed already has waited longest
    claims: list[tuple[Cadence, Callable[[], Slot | None]]]
    claims = [(cadence, partial(_ours, slot)) for cadence, slot in again]
    claims += [(cadence, partial(slots.claim, cadence, due, clock.now)) for cadence, due in fires]
    for cadence, claim in claims:
        if tried >= most or time.monotonic() > until:
            report.waiting += 1
            continue
        slot = claim()
        if slot is None:
            continue
        point("tick.claimed")
        started = _started(cadence, slot)
        if started is None:
            continue
        point("tick.started")
        slots.settle(slot, started)
        point("tick.settled")
        tried += started.outcome not in (Outcome.SKIPPED, Outcome.CLAIMED)
        _report(cadence, started, report)
        if started.outcome == Outcome.FAILED and started.run_id is None:
            alerts.not_started(cadence, slot, started.message, clock.now)


def _ours(slot: Slot) -> Slot:
    return slot


def _started(cadence: Cadence, slot: Slot) -> Started | None:
    """Return None when another tick has started it."""
    try:
        return cadence.start(partial(slots.begin, slot))
    except slots.Taken:
        return None
    except Exception as error:  # the others are due all the same
        _log.exception("%s could not be started.", cadence.name)
        return Started(outcome=Outcome.FAILED, message=f"{type(error).__name__}: {error}")


def _report(cadence: Cadence, started: Started, report: TickReport) -> None:
    match started.outcome:
        case Outcome.STARTED:
            report.started.append(cadence.name)
        case Outcome.SKIPPED:
            report.skipped.append(cadence.name)
        case Outcome.CLAIMED:
            report.waiting += 1
        case _:
            report.failed[cadence.name] = started.message
