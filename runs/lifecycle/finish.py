"""Writes the final state of a run: with retries, and to the spool if the metadata database stays unavailable.

If the spool cannot be written either, the next tick finds the process dead and finalizes the run by its commit record.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from django.db import DatabaseError, InterfaceError, connection

from runs.engine.faults import point
from runs.lifecycle import spool
from runs.models import Run
from runs.models.states import IllegalTransition, Status

_log = logging.getLogger(__name__)
# seconds for which writing is retried before the state goes to the spool
_TIMEOUT = 120.0


def finish(run: Run, status: Status, results: Mapping[str, Any], *, log: Callable[[str], None]) -> None:
    """Write the status and the fields ``results``. If another process finalized the run before, its result stands.

    ``log`` is called with lines for the run's log.
    """
    point("record.ending")
    deadline = time.monotonic() + _TIMEOUT
    try:
        while not _try_finish(run, status, results, log):
            if time.monotonic() > deadline:
                log(f"ended: {status}; {_spool(run, status, results)}")
                break
            time.sleep(1)
        else:
            log(f"ended: {status}")
    except IllegalTransition as error:
        if Run.objects.filter(pk=run.pk).exists():
            run.refresh_from_db()
            log(f"ended as {status}, but: {error.message}")
            return
        log(f"ended: {status}; the run was deleted from the metadata database")
    for name, value in {**results, "status": status}.items():
        setattr(run, name, value)
    point("record.ended")


def _try_finish(run: Run, status: Status, results: Mapping[str, Any], log: Callable[[str], None]) -> bool:
    try:
        run.finish(status, **results)
    except (DatabaseError, InterfaceError) as error:
        connection.close()
        log(f"the metadata could not be written, retrying: {error}")
        return False
    return True


def _spool(run: Run, status: Status, results: Mapping[str, Any]) -> str:
    try:
        return f"stored in {spool.write(run, status, dict(results))} for the next tick"
    except OSError as error:
        _log.error("Run %s ended: %s. Neither metadata nor spool could be written: %s.", run.pk, status, error)
        return f"neither metadata nor spool could be written: {error}"
