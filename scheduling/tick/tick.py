"""One tick of the scheduler: finalizes dead runs, starts what is due, does housekeeping and sends notifications.

It takes a few seconds; each part has a time limit of its own, and the next tick continues where one has ended.

No state is kept in memory between ticks: what is due follows from the database and the time. Ticks may overlap, come
late or not at all, or be killed anywhere, and the clock may jump: a slot is started at most once, and missed slots are
reported.
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

from connections.management.exit_codes import ExitCode
from connections.sdk.errors import PipekitError
from connections.secrets.redaction import redactor
from runs.engine.faults import point
from runs.lifecycle import reap
from runs.lifecycle.metadata_retry import close_if_broken
from runs.models.setting import current_settings
from runs.notify.delivery import send_due
from scheduling.models import Slot, Tick
from scheduling.tick import housekeeping, lock
from scheduling.tick.due import GAP, TickTimes
from scheduling.tick.finalized import Finalized, collect_keys, finalized_rows
from scheduling.tick.fire import TickReport, start_due

# seconds for finalizing dead runs, which may wait for destinations; the next tick continues
_REAP_TIME_LIMIT = 20.0
_SLOT_RETENTION = dt.timedelta(days=100)
_STEADY = dt.timedelta(days=1)
_MAX_LOG_BYTES = 5_000_000
_log = logging.getLogger(__name__)


def run_tick(now: dt.datetime) -> TickReport:
    """Start everything that is due at ``now``.

    Raise errors of the metadata database, and SettingInvalid if a stored setting is invalid.
    """
    now = now.astimezone(dt.UTC)
    finalized, error = _finalize_dead()
    try:
        report = _fire(now, error)
    except Exception:
        # there is no report that names them
        for each in finalized:
            _log.warning("%s", each)
        raise
    report.finalized = finalized
    return report


def _finalize_dead() -> tuple[list[Finalized], str]:
    """Finalize what is dead; return what was finalized, and the error or an empty string."""
    finalized = list[Finalized]()
    with collect_keys() as keys:
        error = _run_task(lambda: reap.reap_all(seconds=_REAP_TIME_LIMIT))
    # described only now: an error would undo what they describe
    _run_task(lambda: finalized.extend(finalized_rows(keys)))
    return finalized, error


def _fire(now: dt.datetime, error: str) -> TickReport:
    """Start what is due and record the tick, with the error of finalizing."""
    times = TickTimes(
        now=now, unbroken_since=_unbroken_since(now), grace=dt.timedelta(hours=current_settings().misfire_grace_hours)
    )
    report = start_due(times)
    point("tick.fired")
    # hourly, and not after a jump of the clock: deleting a slot's row too early would allow it to start again
    if now.minute == 0 and times.unbroken_since < now - _STEADY:
        Slot.objects.older_than(now - _SLOT_RETENTION).delete()
    fields = {"at": now, "unbroken_since": times.unbroken_since, "finished_at": timezone.now(), "error": error}
    Tick.objects.update_or_create(pk=1, defaults={**fields, "started": len(report.started)})
    return report


def tick_and_housekeeping(now: dt.datetime) -> TickReport | None:
    """Tick, then do housekeeping and send notifications. Return None if another tick of this installation is running.

    Raise, after everything else, the error of `run_tick`, or TickHangs if that tick has been running for too long.
    """
    report: TickReport | None = None
    failure: Exception | None = None
    try:
        with lock.only_tick() as is_only:
            report = run_tick(now) if is_only else None
    except Exception as error:  # it is to be reported, too
        failure = error
        close_if_broken()
    # outside the lock: these are safe to run concurrently, and no slot has to wait for a mail server
    _run_task(lambda: housekeeping.prune_daily(now))
    _run_task(lambda: housekeeping.find_late(now))
    _run_task(send_due)
    if failure is not None:
        raise failure
    return report


def cron_tick() -> None:
    """Tick once. cron calls this every minute through django-crontab, which logs every exception."""
    for name in ("tick.log", "prune.log"):
        _truncate_large(Path(settings.PIPEKIT.log_dir) / name)
    try:
        report = tick_and_housekeeping(timezone.now())
    except lock.TickHangs as error:
        _log.error("%s %s", error.message, error.hint)
        logging.shutdown()
        # django-crontab catches every exception, so this is the only way to fail with an exit code
        os._exit(ExitCode.ALREADY_RUNNING)
    if report:
        for line in report.problems():
            _log.warning("%s", line)


def _truncate_large(log: Path) -> None:
    """Empty a log that ticks append to if it has grown too large."""
    with suppress(OSError):
        if log.stat().st_size > _MAX_LOG_BYTES:
            os.truncate(log, 0)


def _run_task(task: Callable[[], object]) -> str:
    """Run a task whose failure must not stop the tick; return the error without secrets, or an empty string."""
    try:
        task()
    except Exception as error:  # due slots are started all the same
        message = redactor().text(f"{type(error).__name__}: {error}")
        # the errors of rows that were not finalized are logged already
        is_expected = isinstance(error, PipekitError | reap.NotFinalized)
        _log.error("A task of the tick failed: %s", message, exc_info=not is_expected)
        close_if_broken()
        return message
    return ""


def _unbroken_since(now: dt.datetime) -> dt.datetime:
    last = Tick.objects.first()
    return last.unbroken_since if last and last.at <= now <= last.at + GAP else now
