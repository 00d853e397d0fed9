"""A psycopg connection that does not wait for ever: silence has a bound, and giving up leaves nothing at the server."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Generator
from typing import Any, Self, TypeVar

import psycopg
from psycopg import waiting

from connections.sdk.errors import NoProgress
from connections.sdk.lock_waits import Wait

T = TypeVar("T")
# seconds between two looks at the clock, and at signals
_LOOK = 0.1
# seconds for asking the server to stop a statement
_CANCEL = 3.0
# seconds after which a server that says that it works is not believed any more
LONGEST = 86400.0


class PatientConnection(psycopg.Connection[tuple[Any, ...]]):
    """Bears ``patience`` seconds without a word (0: any), and as much again whenever ``at_work`` says why.

    A session that is given up, or whose statement is interrupted, is ended here and, by ``end``, at the server.
    """

    label = "PostgreSQL"
    patience: float = 60.0
    at_work: Callable[[], bool] = staticmethod(lambda: False)
    end: Callable[[], object] = staticmethod(lambda: None)
    # for which lock the session waits, and who holds it; asked over another connection
    blocked: Callable[[], str] = staticmethod(lambda: "")
    # what that was when it was last asked during the last statement
    waited: str = ""

    @classmethod
    def connect(cls, *args: Any, **kwargs: Any) -> Self:
        try:
            return super().connect(*args, **kwargs)
        except psycopg.Error as error:
            # whoever keeps the error would keep the socket, and a server that wakes up would find a session there
            traceback.clear_frames(error.__traceback__)
            raise

    def wait(self, gen: Generator[Any, Any, T], *_: Any, **__: Any) -> T:
        try:
            return waiting.wait(self._patiently(gen), self.pgconn.socket, interval=_LOOK)
        except KeyboardInterrupt:
            self.abandon()
            raise

    def abandon(self) -> None:
        """End the session, at the server too if that answers: its wire may be dead while others are not."""
        if self.closed:
            return
        with contextlib.suppress(psycopg.Error, NoProgress):
            self.cancel_safe(timeout=_CANCEL)
            self.end()
        self.close()

    def _patiently(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        began = heard = time.monotonic()
        lock_wait, self.waited = Wait(self.blocked), ""
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    began = heard = time.monotonic()
                    lock_wait.restart()
                    wanted = gen.send(ready)
                    continue
                lock_wait.poll()
                self.waited = lock_wait.last
                if 0 < self.patience <= time.monotonic() - heard:
                    self._bear(began)
                    heard = time.monotonic()
                wanted = gen.send(ready)
        except StopIteration as end:
            found: T = end.value
            return found

    def _bear(self, began: float) -> None:
        if time.monotonic() - began < LONGEST and self.at_work():
            return
        self.abandon()
        raise NoProgress(
            f"{self.label}: The server has said nothing for {self.patience:g} seconds, and nothing says that it is at"
            " work; the statement was given up.",
            hint="Does the server hang, or the network to it? Run it again. The setting no_progress_timeout is how"
            " long it may be silent.",
        )
