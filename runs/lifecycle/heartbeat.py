"""A run's signs of life: a thread with a metadata connection of its own, whatever the data path is waiting for.

The same thread hears that a cancel was asked for, or that the run was taken from this process, and interrupts it.
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
from runs.settings import setting

# seconds between two looks at the wish to cancel: a read, so more often than beats
_LOOK = 1.0
_log = logging.getLogger(__name__)


class Heartbeat:
    """Beats within its block. Metadata that is busy costs a beat, never the run."""

    def __init__(self, row: ProcessMixin, *, meanwhile: Callable[[], None] = lambda: None) -> None:
        self._row, self._meanwhile = row, meanwhile
        # it interrupted because the row is gone or settled, and not because of a cancel
        self.lost = False
        self._every = float(setting("heartbeat_seconds"))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        # one that waits for busy metadata ends by itself
        self._thread.join(timeout=2)

    def _beat(self) -> None:
        try:
            due = 0.0
            while not self._ended.wait(min(_LOOK, self._every)):
                beats = time.monotonic() >= due
                if beats:
                    due = time.monotonic() + self._every
                    self._do_meanwhile()
                # what may not be interrupted now goes on, and so do its signs of life
                if self._must_stop(beats) and not self._ended.is_set() and interrupt_main():
                    return
        finally:
            connection.close()

    def _do_meanwhile(self) -> None:
        try:
            self._meanwhile()
        except Exception:  # whatever it is, a run without signs of life is worse
            _log.exception("What is done between two signs of life failed.")

    def _must_stop(self, beats: bool) -> bool:
        try:
            if not (self._row.beat() if beats else self._row.must_stop()):
                return False
            self.lost = self._row.is_gone()
            return True
        except (DatabaseError, InterfaceError):
            connection.close()
            return False
