"""Writes the progress and result of a verification into its row, with retries while the metadata is unavailable."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, InterfaceError, connection

from runs.lifecycle.metadata_retry import retry_finish
from runs.models.transitions import IllegalTransition
from runs.models.verification import Verification, VerificationStatus

Log = Callable[[str], None]
# seconds between two writes of the progress, few enough for SQLite
_PROGRESS_SECONDS = 2.0


def progress_recorder(verification: Verification) -> Callable[[int], None]:
    """Return a callback that stores the number of rows compared, at most every few seconds."""
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


def finish_verification(verification: Verification, status: VerificationStatus, log: Log, **results: Any) -> None:
    """Write the final state, with retries. If another process finalized the verification before, its result stands."""
    try:
        failure = retry_finish(lambda: verification.finish(status, **results), log=log)
    except IllegalTransition as error:
        log(f"ended as {status}, but: {error.message}")
        _reload(verification, status, results)
        return
    if failure is not None:
        log(f"ended: {status}; the result could not be written: {failure}")
        _set(verification, status, results)


def _reload(verification: Verification, status: VerificationStatus, results: dict[str, Any]) -> None:
    try:
        verification.refresh_from_db()
    except (Verification.DoesNotExist, DatabaseError, InterfaceError):
        _set(verification, status, results)


def _set(verification: Verification, status: VerificationStatus, results: dict[str, Any]) -> None:
    """Set the results on the object only, for the command that shows them."""
    for name, value in {**results, "status": status}.items():
        setattr(verification, name, value)
