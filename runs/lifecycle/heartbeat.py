"""The heartbeat of a run: a thread with its own metadata connection, independent of what the run waits for.

The thread also polls for a requested cancel, or a row that was finalized elsewhere, and interrupts the main thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

from django.db import DatabaseError, InterfaceError, connection

from runs.lifecycle.signals import interrupt_main
from runs.models.process_mixin import ProcessMixin

# seconds between two polls for a cancel; they only read, so they are more frequent than heartbeats
_POLL_SECONDS = 1.0
# seconds between two heartbeats until the setting is read
_INTERVAL = 5.0
_log = logging.getLogger(__name__)


class Heartbeat:
    """Context manager that records heartbeats. A heartbeat that fails is skipped and does not fail the run.

    It reads no metadata, so that it beats while the settings are still to be read; ``interval`` is set then.
    """

    def __init__(self, row: ProcessMixin, *, on_beat: Callable[[], None] = lambda: None) -> None:
        self._row, self._on_beat = row, on_beat
        # whether it interrupted because the row was deleted or finalized, not because of a cancel
        self.is_row_gone = False
        self.interval = _INTERVAL
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        # a thread that waits for busy metadata ends later by itself
        self._thread.join(timeout=2)

    def _run(self) -> None:
        try:
            due = 0.0
            while not self._stopped.wait(min(_POLL_SECONDS, self.interval)):
                is_due = time.monotonic() >= due
                if is_due:
                    due = time.monotonic() + self.interval
                    self._call_on_beat()
                # while the main thread is shielded from interrupts, heartbeats continue
                if self._must_stop(beat=is_due) and not self._stopped.is_set() and interrupt_main():
                    return
        finally:
            connection.close()

    def _call_on_beat(self) -> None:
        try:
            self._on_beat()
        except Exception:  # no error of the callback is worth losing the heartbeat
            _log.exception("The heartbeat's callback failed.")

    def _must_stop(self, *, beat: bool) -> bool:
        try:
            if not (self._row.beat() if beat else self._row.must_stop()):
                return False
            self.is_row_gone = self._row.is_gone()
            return True
        except (DatabaseError, InterfaceError):
            connection.close()
            return False
