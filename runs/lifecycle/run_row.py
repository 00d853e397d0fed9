"""Writes the fields of a running run to its row, and keeps those that could not be written."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, InterfaceError, connection

from runs.models import Run

# seconds between two writes of the progress, few enough for SQLite
_PROGRESS_SECONDS = 2.0


class RunRow:
    """The row of one run. ``log`` is called with a text when the metadata cannot be written."""

    def __init__(self, run: Run, *, log: Callable[[str], None]) -> None:
        self.run, self._log = run, log
        self._progress_written = 0.0
        # fields that are set on the run and not yet written to its row
        self._unwritten: dict[str, Any] = {}

    def set(self, **fields: Any) -> None:
        """Set fields of the run, which the next call of `write` writes."""
        self._unwritten.update(fields)
        for name, value in fields.items():
            setattr(self.run, name, value)

    def write(self) -> None:
        """Write what is set. If the metadata is busy or unavailable, that is left for the next call.

        Raises IllegalTransition if the run was finalized elsewhere.
        """
        fields = self.take_unwritten()
        try:
            if fields:
                self.run.record(**fields)
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            self._unwritten = {**fields, **self._unwritten}
            self._log(f"the metadata could not be written: {error}")

    def write_progress(self) -> None:
        """Write what is set, unless that was done a short time ago."""
        if time.monotonic() - self._progress_written >= _PROGRESS_SECONDS:
            self._progress_written = time.monotonic()
            self.write()

    def take_unwritten(self) -> dict[str, Any]:
        """Return what is not yet written, for the caller to write it."""
        fields, self._unwritten = self._unwritten, {}
        return fields
