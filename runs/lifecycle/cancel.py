"""Cancels a run, group run or verification: requests it, signals the process, and kills it if it does not end in time.

Nothing is rolled back here: the run's process leaves the destination unchanged, and a killed one cannot commit.
"""

from __future__ import annotations

import time
from contextlib import suppress
from enum import StrEnum

from django.core.exceptions import ObjectDoesNotExist

from connections.sdk.errors import Cancelled, PipekitError
from runs import logs
from runs.launchers.launcher import launcher
from runs.lifecycle.liveness import seems_dead
from runs.lifecycle.reap import reap, reap_group, reap_verification
from runs.models import GroupRun, Run, Verification
from runs.models.states import GroupStatus, IllegalTransition, Status
from runs.process.control import ProcessHandle, open_process

# seconds after the request until the process gets SIGTERM, until SIGKILL, and until its descendants are killed
_TERMINATE, _KILL, _KILL_DESCENDANTS = 10.0, 15.0, 18.0
# seconds until the wait ends anyway: a process of another machine cannot be signalled
_TIMEOUT = 25.0
_POLL_SECONDS = 0.2
# options of the command by which a process of its own stops a row
_OPTIONS: dict[type, list[str]] = {Run: [], GroupRun: ["--group-run"], Verification: ["--verification"]}
Row = Run | GroupRun | Verification


class CancelResult(StrEnum):
    """The result of cancelling a row."""

    # requested, and enforced on this machine if the process does not comply
    REQUESTED = "requested"
    CANCELLED = "cancelled"
    TOO_LATE = "too late, published"
    ENDED = "over already"


def cancel_execution(row: Row) -> CancelResult:
    """Request the cancel and return at once; a separate process makes the run end within 20 seconds."""
    try:
        result = _request(row)
    except ObjectDoesNotExist:
        # the row was deleted
        return CancelResult.ENDED
    if result is CancelResult.REQUESTED:
        try:
            launcher().launch(["cancelrun", *_OPTIONS[type(row)], str(row.pk)], log=row.log_file)
        except PipekitError as error:
            # the request stands, and the run's own process sees it
            logs.write(row, f"cancel: {error.message}")
        if isinstance(row, Run) and row.published_at is not None:
            return CancelResult.TOO_LATE
    return result


def stop_execution(row: Row, *, terminate: bool = True) -> CancelResult:
    """Cancel and wait for the end; return REQUESTED only if the process is out of reach and still runs.

    Without ``terminate`` the process gets no SIGTERM, which would also end what it is to execute next.
    """
    try:
        result = _request(row)
        if result is not CancelResult.REQUESTED:
            return result
        with open_process(row.process) as process:
            _enforce(row, process, terminate=terminate)
        row.refresh_from_db()
    except ObjectDoesNotExist:
        # the row was deleted
        return CancelResult.ENDED
    return _result(row)


def _request(row: Row) -> CancelResult:
    row.refresh_from_db()
    if row.is_final:
        return CancelResult.ENDED
    if not row.request_cancel():
        row.refresh_from_db()
        return CancelResult.ENDED
    row.refresh_from_db()
    _finalize_without_process(row)
    return CancelResult.REQUESTED if not row.is_final else _result(row)


def _finalize_without_process(row: Row) -> None:
    """Finalize the row if its process is dead or has not started yet."""
    if seems_dead(row):
        _reap(row)
    elif row.status == Status.QUEUED:
        # if its process has started meanwhile, that sees the request
        with suppress(IllegalTransition):
            _finish_queued(row)
    row.refresh_from_db()


def _reap(row: Row) -> None:
    if isinstance(row, Run):
        reap(row)
    elif isinstance(row, GroupRun):
        reap_group(row)
    else:
        reap_verification(row)


def _finish_queued(row: Row) -> None:
    """Finalize a row that is queued. Raise IllegalTransition if its process has started it."""
    only_if = {"status": Status.QUEUED}
    if isinstance(row, Run):
        error = Cancelled("The run was cancelled before it started.").as_dict()
        row.finish_cancelled(error, only_if=only_if)
    elif isinstance(row, GroupRun):
        row.finish_cancelled(only_if=only_if)
    else:
        row.finish_error(cancelled_before_start(), only_if=only_if)


def cancelled_before_start() -> dict[str, str]:
    """Return the error of a verification that was cancelled while it was queued."""
    return Cancelled("The verification was cancelled before it started.", hint="Start it again.").as_dict()


def _enforce(row: Row, process: ProcessHandle, *, terminate: bool) -> None:
    """Wait for the end, sending stronger signals as time passes."""
    started = time.monotonic()
    # a group run ends only after its runs, which are cancelled with the same delays
    delay = _KILL_DESCENDANTS if isinstance(row, GroupRun) else 0.0
    steps = [(_TERMINATE, process.terminate)] if terminate else []
    steps += [(_KILL, process.kill), (_KILL_DESCENDANTS, process.kill_descendants)]
    while time.monotonic() - started < delay + _TIMEOUT:
        row.refresh_from_db()
        if row.is_final and not process.has_descendants():
            return
        if not row.is_final and seems_dead(row):
            _finalize_without_process(row)
        if steps and time.monotonic() - started > delay + steps[0][0]:
            act = steps.pop(0)[1]
            logs.write(row, f"cancel: still running; {act.__name__}")
            act()
        time.sleep(_POLL_SECONDS)


def _result(row: Row) -> CancelResult:
    if not row.is_final:
        return CancelResult.REQUESTED
    if row.status in (Status.CANCELLED, GroupStatus.CANCELLED) or (row.error or {}).get("code") == Cancelled.code:
        return CancelResult.CANCELLED
    return CancelResult.TOO_LATE if isinstance(row, Run) and row.status == Status.SUCCESS else CancelResult.ENDED
