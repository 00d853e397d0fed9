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
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from runs import notify
from runs.engine.faults import point
from runs.lifecycle import reap
from runs.settings import setting
from runs.verifications import launch
from scheduling.models import Slot, Tick
from scheduling.tick import fire, housekeeping, lock, overdue
from scheduling.tick.due import GAP as GAP
from scheduling.tick.due import Clock
from scheduling.tick.report import TickReport

# how long it may ask destinations of the dead before what is due gets its turn; the next tick goes on
_REAPING = 20.0
_KEPT = dt.timedelta(days=100)
_STEADY = dt.timedelta(days=1)
_LARGE = 5_000_000
# exit code of a tick that finds another one hanging: already running
EXIT_HANGS = 4
_log = logging.getLogger(__name__)


def tick(now: dt.datetime) -> TickReport:
    """Do everything that is due. Raises only what the metadata database raises."""
    now = now.astimezone(dt.UTC)
    broken = _tried(lambda: reap.reap_all(seconds=_REAPING))
    _tried(launch.reap_dead)
    clock = Clock(
        now=now, unbroken_since=_unbroken_since(now), grace=dt.timedelta(hours=setting("misfire_grace_hours"))
    )
    report = fire.fire(clock)
    point("tick.fired")
    # hourly; and not by a clock that has just jumped, for a row that is gone protects no more
    if now.minute == 0 and clock.unbroken_since < now - _STEADY:
        Slot.objects.older_than(now - _KEPT).delete()
    told = {"at": now, "unbroken_since": clock.unbroken_since, "finished_at": timezone.now(), "error": broken}
    Tick.objects.update_or_create(pk=1, defaults={**told, "started": len(report.started)})
    return report


def tick_alone(now: dt.datetime) -> TickReport | None:
    """Tick, and send what is to be notified; None while another tick of this install is at work.

    Raises TickHangs, after the rest, when that one has been at work for long.
    """
    report, hangs = None, None
    try:
        with lock.only_tick() as is_only:
            report = tick(now) if is_only else None
    except lock.TickHangs as error:
        hangs = error
    # others may do so at once, and no slot waits for a mail server
    _tried(lambda: housekeeping.prune_daily(now))
    _tried(lambda: overdue.find_late(now))
    _tried(notify.send_due)
    if hangs is not None:
        raise hangs
    return report


def cron_tick() -> None:
    """What cron calls every minute, through django-crontab, which logs whatever is raised."""
    for name in ("tick.log", "prune.log"):
        _keep_small(Path(settings.PIPEKIT.log_dir) / name)
    try:
        report = tick_alone(timezone.now())
    except lock.TickHangs as error:
        _log.error("%s %s", error.message, error.hint)
        logging.shutdown()
        # django-crontab catches every exception, and cron is to see that this failed
        os._exit(EXIT_HANGS)
    if report:
        for line in report.troubles():
            _log.warning("%s", line)


def _keep_small(log: Path) -> None:
    """Empty what every tick or prune appends to, once troubles have filled it."""
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
