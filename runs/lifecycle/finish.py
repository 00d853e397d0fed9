"""Writes the final state of a run: with retries, and to the spool if the metadata database stays unavailable.

If the spool cannot be written either, the next tick finds the process dead and finalizes the run by its commit record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from runs.engine.faults import point
from runs.lifecycle import spool
from runs.lifecycle.metadata_retry import retry_finish
from runs.models import Run
from runs.models.states import Status
from runs.models.transitions import IllegalTransition

_log = logging.getLogger(__name__)


def finish_run(run: Run, status: Status, results: Mapping[str, Any], *, log: Callable[[str], None]) -> None:
    """Write the status and the fields ``results``. If another process finalized the run before, its result stands.

    ``log`` is called with lines for the run's log.
    """
    point("record.ending")
    try:
        failure = retry_finish(lambda: run.finish(status, **results), log=log)
        log(f"ended: {status}" if failure is None else f"ended: {status}; {_spool(run, status, results)}")
    except IllegalTransition as error:
        if Run.objects.filter(pk=run.pk).exists():
            run.refresh_from_db()
            log(f"ended as {status}, but: {error.message}")
            return
        log(f"ended: {status}; the run was deleted from the metadata database")
    for name, value in {**results, "status": status}.items():
        setattr(run, name, value)
    point("record.ended")


def _spool(run: Run, status: Status, results: Mapping[str, Any]) -> str:
    try:
        return f"stored in {spool.write(run, status, dict(results))} for the next tick"
    except OSError as error:
        _log.error("Run %s ended: %s. Neither metadata nor spool could be written: %s.", run.pk, status, error)
        return f"neither metadata nor spool could be written: {error}"
