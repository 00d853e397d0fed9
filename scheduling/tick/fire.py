"""The scheduling part of a tick: evaluate all timers, record missed slots, start due runs up to the limit.

A slot is first reserved, then marked as started in the transaction that inserts its run. Wherever a tick dies, a slot
that is still reserved has no run, and the next tick starts it.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Sequence
from dataclasses import field, replace
from functools import partial

from connections.sdk.records import dataclass
from connections.secrets.redaction import redactor
from runs.engine.faults import point
from runs.lifecycle.metadata_retry import close_if_broken
from runs.models.setting import current_settings
from scheduling.models import Slot, SlotOutcome
from scheduling.tick import notifications, slots, timers, unstarted
from scheduling.tick.due import GAP, DueSlot, TickTimes, due_slot
from scheduling.tick.finalized import Finalized
from scheduling.tick.start import StartResult
from scheduling.tick.timers import Timer

# time limit for starting runs; each start may first have to finalize a dead run by asking its destination
_TIME_LIMIT = 40.0
_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class TickReport:
    """What a tick did, by the names of its timers."""

    at: dt.datetime
    # names of timers that were started, skipped (still running, disabled) and missed
    started: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    # name -> reason
    failed: dict[str, str] = field(default_factory=dict)
    # runs, group runs and verifications found dead
    finalized: list[Finalized] = field(default_factory=list)
    # the number of due slots that are left to the next ticks
    waiting: int = 0

    def problems(self) -> list[str]:
        """Return a line for each execution that was finalized, and each timer that was not started as scheduled."""
        lines = list(map(str, self.finalized))
        lines += [f"{name}: {reason}" for name, reason in self.failed.items()]
        lines += [f"{name}: skipped; it is still running, or disabled" for name in self.skipped]
        return lines + [f"{name}: missed" for name in self.missed]


@dataclass(slots=True, kw_only=True)
class _Evaluation:
    """Timers by what is due: a slot to start, only missed slots, or nothing."""

    to_start: list[tuple[Timer, DueSlot]]
    missed: list[tuple[Timer, DueSlot]]
    idle: list[Timer]


def start_due(times: TickTimes) -> TickReport:
    """Start everything that is due at the time of the tick."""
    report = TickReport(at=times.now)
    timers.mark_disabled(times.now)
    enabled = timers.enabled()
    evaluation = _evaluate(enabled, times, report)
    point("tick.evaluated")
    _record_missed(evaluation.missed, times, report)
    slots.advance(evaluation.idle, times.now)
    due_keys = {timer.key: due.slot.key for timer, due in evaluation.to_start}
    left = unstarted.settle_unstarted(enabled, times, due=due_keys)
    report.missed += [timer.name for timer, _ in left.missed]
    _start(left.to_start, evaluation.to_start, times, report)
    return report


def _evaluate(enabled: Sequence[Timer], times: TickTimes, report: TickReport) -> _Evaluation:
    evaluation = _Evaluation(to_start=[], missed=[], idle=[])
    for timer in enabled:
        try:
            due = due_slot(timer, times)
        except Exception as error:  # an invalid schedule does not affect the others
            report.failed[timer.name] = reason = slots.record_error(timer, error)
            notifications.cannot_fire(timer, reason, times.now)
            continue
        if due is None:
            evaluation.idle.append(timer)
        else:
            (evaluation.to_start if due.fire else evaluation.missed).append((timer, due))
    return evaluation


def _record_missed(missed: Sequence[tuple[Timer, DueSlot]], times: TickTimes, report: TickReport) -> None:
    slots.record_missed(missed, times.now)
    report.missed = [timer.name for timer, _ in missed]


@dataclass(slots=True, kw_only=True)
class _Limit:
    """How many more runs a tick may start, and until when."""

    runs: int
    deadline: float

    def is_reached(self) -> bool:
        return self.runs <= 0 or time.monotonic() > self.deadline


def _start(
    reserved: Sequence[tuple[Timer, Slot]], due_slots: list[tuple[Timer, DueSlot]], times: TickTimes, report: TickReport
) -> None:
    """Start what is due, up to runs_per_tick. The progress of the rest is not advanced, so the next tick starts it."""
    limit = _Limit(runs=current_settings().runs_per_tick, deadline=time.monotonic() + _TIME_LIMIT)
    # slots that an earlier tick reserved have waited longest
    for timer, slot in reserved:
        if limit.is_reached():
            report.waiting += 1
        else:
            _start_slot(timer, slot, limit, times, report)
    # slots that have just become due come before slots that are caught up
    due_slots.sort(key=lambda due: (due[1].slot.at < times.unbroken_since - GAP, due[1].slot.at))
    for timer, due in due_slots:
        if limit.is_reached():
            report.waiting += 1
        elif reserved_slot := slots.reserve(timer, due, times.now):
            _start_slot(timer, reserved_slot, limit, times, report)


def _start_slot(timer: Timer, slot: Slot, limit: _Limit, times: TickTimes, report: TickReport) -> None:
    """Start the run of a reserved slot, and record and report the result, unless another tick has started it."""
    point("tick.reserved")
    result = _try_start(timer, slot)
    if result is None:
        return
    point("tick.started")
    is_recorded = slots.record_result(slot, result)
    point("tick.recorded")
    if result.outcome not in (SlotOutcome.SKIPPED, SlotOutcome.RESERVED):
        limit.runs -= 1
    if not is_recorded and result.run_id is None:
        # the error came after the run was inserted, which will have a result of its own; or another tick was faster
        return
    _report(timer, result, report)
    if result.outcome == SlotOutcome.FAILED and result.run_id is None:
        notifications.not_started(timer, slot, result.message, times.now)


def _try_start(timer: Timer, slot: Slot) -> StartResult | None:
    """Start the run of a reserved slot; return None if another tick has started it. Its message has no secrets."""
    try:
        result = timer.start(partial(slots.mark_started, slot))
    except slots.SlotTaken:
        return None
    except Exception as error:  # the other slots are started all the same
        _log.exception("%s could not be started.", timer.name)
        close_if_broken()
        result = StartResult(outcome=SlotOutcome.FAILED, message=f"{type(error).__name__}: {error}")
    return replace(result, message=redactor().text(result.message))


def _report(timer: Timer, result: StartResult, report: TickReport) -> None:
    match result.outcome:
        case SlotOutcome.STARTED:
            report.started.append(timer.name)
        case SlotOutcome.SKIPPED:
            report.skipped.append(timer.name)
        case SlotOutcome.RESERVED:
            report.waiting += 1
        case _:
            report.failed[timer.name] = result.message
