"""The one tick: settle what died, claim the slots that are due, start their runs. Returns within seconds.

It keeps nothing in memory between two ticks: what is due follows from the rows and the time. Ticks may overlap, come
late or not at all, be killed anywhere, and the clock may jump: a slot fires at most once, what was missed is told.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from runs import notifying, reaping
from runs.settings import setting
from scheduling import alone, cadences, slots
from scheduling.cadences import Cadence
from scheduling.due import Clock, Owed, owed
from scheduling.models import Outcome, Slot, Tick
from scheduling.starting import Started

# a tick may be a little late; more is a gap
GAP = dt.timedelta(minutes=3)
_KEPT = dt.timedelta(days=100)
_STEADY = dt.timedelta(days=1)
_LARGE = 5_000_000
_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class TickReport:
    at: dt.datetime
    # what was started, skipped (still running, switched off), missed
    started: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    # name -> why
    failed: dict[str, str] = field(default_factory=dict)
    # due, and left to the next ticks
    waiting: int = 0

    def troubles(self) -> list[str]:
        """What somebody should know of, a line each."""
        lines = [f"{name}: {why}" for name, why in self.failed.items()]
        lines += [f"{name}: skipped; it still runs, or is switched off" for name in self.skipped]
        return lines + [f"{name}: missed" for name in self.missed]


def tick(now: dt.datetime) -> TickReport:
    """Do everything that is due. Raises only what the metadata database raises."""
    now = now.astimezone(dt.UTC)
    broken = _tried(reaping.reap_all)
    clock = Clock(
        now=now, unbroken_since=_unbroken_since(now), grace=dt.timedelta(hours=setting("misfire_grace_hours"))
    )
    report = _fire(clock)
    # hourly; and not by a clock that has just jumped, for a row that is gone protects no more
    if now.minute == 0 and clock.unbroken_since < now - _STEADY:
        Slot.objects.older_than(now - _KEPT).delete()
    told = {"at": now, "unbroken_since": clock.unbroken_since, "finished_at": timezone.now(), "error": broken}
    Tick.objects.update_or_create(pk=1, defaults={**told, "started": len(report.started)})
    return report


def tick_alone(now: dt.datetime) -> TickReport | None:
    """Tick, and tell people what there is to tell; None while another tick of this install is at work."""
    with alone.only_tick() as is_only:
        report = tick(now) if is_only else None
    # others may do so at once, and no slot waits for a mail server
    _tried(lambda: notifying.find_late(now))
    _tried(notifying.send_due)
    return report


def cron_tick() -> None:
    """What cron calls every minute, through django-crontab, which logs whatever is raised."""
    _keep_small(Path(settings.PIPEKIT.log_dir) / "tick.log")
    if report := tick_alone(timezone.now()):
        for line in report.troubles():
            _log.warning("%s", line)


def _keep_small(log: Path) -> None:
    """Empty what cron's line appends to, once troubles have filled it."""
    with suppress(OSError):
        if log.stat().st_size > _LARGE:
            os.truncate(log, 0)


def _tried(chore: Callable[[], object]) -> str:
    try:
        chore()
    except Exception as error:  # the slots are due all the same
        _log.exception("A chore of the tick failed.")
        return f"{type(error).__name__}: {error}"
    return ""


def _unbroken_since(now: dt.datetime) -> dt.datetime:
    last = Tick.objects.first()
    return last.unbroken_since if last and last.at <= now <= last.at + GAP else now


def _fire(clock: Clock) -> TickReport:
    """1. judge all, 2. write down what was missed, 3. move on what owes nothing, 4. start as many as may start."""
    report = TickReport(at=clock.now)
    cadences.switch_off(clock.now)
    fires: list[tuple[Cadence, Owed]] = []
    missed: list[tuple[Cadence, Owed]] = []
    idle: list[Cadence] = []
    for cadence in cadences.enabled():
        try:
            due = owed(cadence, clock)
        except Exception as error:  # one bad schedule stops no other
            report.failed[cadence.name] = slots.keep_error(cadence, error)
            continue
        if due is None:
            idle.append(cadence)
        else:
            (fires if due.fire else missed).append((cadence, due))
    slots.miss(missed, clock.now)
    report.missed = [cadence.name for cadence, _ in missed]
    slots.move_on(idle, clock.now)
    _start(fires, clock, report)
    return report


def _start(fires: list[tuple[Cadence, Owed]], clock: Clock, report: TickReport) -> None:
    """Start what is due, up to the cap. What is left is not moved on, so the next tick finds it."""
    # what has just become due goes before what is made up for
    fires.sort(key=lambda fire: (fire[1].slot.at < clock.unbroken_since - GAP, fire[1].slot.at))
    most, tried = setting("runs_per_tick"), 0
    for cadence, due in fires:
        if tried >= most:
            report.waiting += 1
            continue
        slot = slots.claim(cadence, due, clock.now)
        if slot is None:
            continue
        started = _started(cadence)
        slots.settle(slot, started)
        tried += started.outcome != Outcome.SKIPPED
        _tell(cadence, started, report)


def _started(cadence: Cadence) -> Started:
    try:
        return cadence.start()
    except Exception as error:  # the others are due all the same
        _log.exception("%s could not be started.", cadence.name)
        return Started(outcome=Outcome.FAILED, message=f"{type(error).__name__}: {error}")


def _tell(cadence: Cadence, started: Started, report: TickReport) -> None:
    if started.outcome == Outcome.STARTED:
        report.started.append(cadence.name)
    elif started.outcome == Outcome.SKIPPED:
        report.skipped.append(cadence.name)
    else:
        report.failed[cadence.name] = started.message
