"""A psycopg connection that times out without progress, and then terminates the session at the server."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Generator
from typing import Any, Self, TypeVar

import psycopg
from psycopg import waiting

from connections.sdk.errors import NoProgress
from connections.sdk.lock_wait_reports import Wait
from connections.sdk.protocols import MAX_BUSY_SECONDS

T = TypeVar("T")
# seconds between two checks of the clock and of signals
_INTERVAL = 0.1
# seconds to wait for the cancellation of a statement
_CANCEL_TIMEOUT = 3.0


class TimeoutConnection(psycopg.Connection[tuple[Any, ...]]):
    """Raises NoProgress after ``no_progress_timeout`` seconds without traffic; 0 disables the timeout.

    The timer restarts while ``is_busy()``. A session that times out, or whose statement is interrupted, is closed, and
    terminated at the server by ``terminate()``. The callables use other connections.
    """

    label = "PostgreSQL"
    no_progress_timeout: float = 60.0
    is_busy: Callable[[], bool] = staticmethod(lambda: False)
    terminate: Callable[[], object] = staticmethod(lambda: None)
    # describes the lock for which the session waits and its holders; empty if it does not wait for one
    describe_lock_wait: Callable[[], str] = staticmethod(lambda: "")
    # the latest such description during the last statement
    last_lock_wait: str = ""

    @classmethod
    def connect(cls, *args: Any, **kwargs: Any) -> Self:
        try:
            return super().connect(*args, **kwargs)
        except psycopg.Error as error:
            # the frames of the traceback would keep the socket open, and a server that resumes would open the session
            traceback.clear_frames(error.__traceback__)
            raise

    def wait(self, gen: Generator[Any, Any, T], *_: Any, **__: Any) -> T:
        try:
            return waiting.wait(self._with_timeout(gen), self.pgconn.socket, interval=_INTERVAL)
        except KeyboardInterrupt:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Close the session without waiting for it, and terminate it over another connection if the server answers."""
        if self.closed:
            return
        with contextlib.suppress(psycopg.Error, NoProgress):
            self.cancel_safe(timeout=_CANCEL_TIMEOUT)
            self.terminate()
        self.close()

    def _with_timeout(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        last_traffic = timer = time.monotonic()
        lock_wait, self.last_lock_wait = Wait(self.describe_lock_wait), ""
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    last_traffic = timer = time.monotonic()
                    lock_wait.restart()
                    wanted = gen.send(ready)
                    continue
                lock_wait.poll()
                self.last_lock_wait = lock_wait.last
                if 0 < self.no_progress_timeout <= time.monotonic() - timer:
                    self._check_busy(last_traffic)
                    timer = time.monotonic()
                wanted = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result

    def _check_busy(self, last_traffic: float) -> None:
        if time.monotonic() - last_traffic < MAX_BUSY_SECONDS and self.is_busy():
            return
        self.abandon()
        raise NoProgress(
            f"{self.label}: The server sent nothing for {self.no_progress_timeout:g} seconds and is not known to be"
            " busy; the statement timed out.",
            hint="Check the server and the network, then run it again. The setting no_progress_timeout is the number of"
            " seconds for which a server may be idle.",
        )
