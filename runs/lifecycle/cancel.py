"""Cancels a run, group run or verification: requests it, signals the process, and kills it if it does not end in time.

Nothing is rolled back here: the run's process rolls back what it has not committed, and a killed one cannot commit.
"""

from __future__ import annotations

import time
from contextlib import suppress
from enum import StrEnum

from django.core.exceptions import ObjectDoesNotExist

from connections.sdk.errors import PipekitError
from runs import logs
from runs.launchers.launcher import configured_launcher
from runs.lifecycle.liveness import seems_dead
from runs.lifecycle.reap import reap_row
from runs.models import GroupRun, Run
from runs.models.execution import Execution
from runs.models.states import Status
from runs.models.transitions import IllegalTransition
from runs.process.control import ProcessHandle, open_process

# seconds after the request until the process gets SIGTERM, until SIGKILL, and until its descendants are killed
_TERMINATE, _KILL, _KILL_DESCENDANTS = 10.0, 15.0, 18.0
# seconds until the wait ends anyway: a process of another machine cannot be signalled
_TIMEOUT = 25.0
_POLL_SECONDS = 0.2


class CancelResult(StrEnum):
    """The result of cancelling a row."""

    # requested, and enforced on this machine if the process does not comply
    REQUESTED = "requested"
    CANCELLED = "cancelled"
    TOO_LATE = "too late, published"
    ENDED = "over already"


def cancel_execution(row: Execution) -> CancelResult:
    """Request the cancel and return at once; a separate process makes the run end within 20 seconds."""
    try:
        result = _request(row)
    except ObjectDoesNotExist:
        # the row was deleted
        return CancelResult.ENDED
    if result is CancelResult.REQUESTED:
        try:
            configured_launcher().launch(["cancelrun", *row.CANCEL_OPTIONS, str(row.pk)], log=row.log_file)
        except PipekitError as error:
            # the request stands, and the run's own process sees it
            logs.write(row, f"cancel: {error.message}")
        if isinstance(row, Run) and row.published_at is not None:
            return CancelResult.TOO_LATE
    return result


def stop_execution(row: Execution, *, terminate: bool = True) -> CancelResult:
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


def _request(row: Execution) -> CancelResult:
    row.refresh_from_db()
    if row.is_final:
        return CancelResult.ENDED
    if not row.request_cancel():
        row.refresh_from_db()
        return CancelResult.ENDED
    row.refresh_from_db()
    _finalize_without_process(row)
    return CancelResult.REQUESTED if not row.is_final else _result(row)


def _finalize_without_process(row: Execution) -> None:
    """Finalize the row if its process is dead or has not started yet."""
    if seems_dead(row):
        reap_row(row)
    elif row.status == Status.QUEUED:
        # if its process has started meanwhile, that sees the request
        with suppress(IllegalTransition):
            row.cancel_queued()
    row.refresh_from_db()


def _enforce(row: Execution, process: ProcessHandle, *, terminate: bool) -> None:
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


def _result(row: Execution) -> CancelResult:
    if not row.is_final:
        return CancelResult.REQUESTED
    if row.is_cancelled:
        return CancelResult.CANCELLED
    return CancelResult.TOO_LATE if isinstance(row, Run) and row.status == Status.SUCCESS else CancelResult.ENDED
