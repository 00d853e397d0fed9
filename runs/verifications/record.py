"""Writes what a verification finds into its row. Metadata that is busy costs it time at its end, never the result."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, InterfaceError, connection

from runs.models.states import IllegalTransition
from runs.models.verification import Verification, VerificationStatus

Log = Callable[[str], None]
# seconds between two writes of the progress: often enough to watch, seldom enough for SQLite
_PROGRESS_SECONDS = 2.0
# seconds for which the end is tried to be written; whoever looks next finds its process gone
_PATIENCE_SECONDS = 120.0


def progress(verification: Verification) -> Callable[[int], None]:
    """Return a function that notes how many rows are compared, now and then."""
    written = time.monotonic()

    def note(rows: int) -> None:
        nonlocal written
        if time.monotonic() - written < _PROGRESS_SECONDS:
            return
        try:
            verification.note(source_rows=rows)
        except (DatabaseError, InterfaceError):
            connection.close()
        written = time.monotonic()

    return note


def finish(verification: Verification, status: VerificationStatus, log: Log, **results: Any) -> None:
    """Write the final state, with retries. If another process finalized the verification before, its result stands."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            verification.finish(status, **results)
            return
        except IllegalTransition as error:
            log(f"ended as {status}, but: {error.message}")
            _reload(verification, status, results)
            return
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            if time.monotonic() > until:
                log(f"ended: {status}; that could not be written: {error}")
                _keep(verification, status, results)
                return
            log(f"the metadata could not be written, trying again: {error}")
            time.sleep(1)


def _reload(verification: Verification, status: VerificationStatus, results: dict[str, Any]) -> None:
    try:
        verification.refresh_from_db()
    except (Verification.DoesNotExist, DatabaseError, InterfaceError):
        _keep(verification, status, results)


def _keep(verification: Verification, status: VerificationStatus, results: dict[str, Any]) -> None:
    """Leave the results with whoever started it here."""
    for name, value in {**results, "status": status}.items():
        setattr(verification, name, value)
