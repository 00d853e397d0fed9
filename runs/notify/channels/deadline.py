"""Bounds a whole conversation with a server. Timeouts of sockets do not: a server that drips bytes outlives them."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType

from connections.sdk.errors import ConnectionFailed

# seconds for one message, whatever the server does
SECONDS = 15.0


class Deadline:
    """Within its block: when time is up, the sockets it watches are shut, and whoever waits for them hears an end."""

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = SECONDS if seconds is None else seconds
        self._passed = threading.Event()
        self._held: list[socket.socket] = []
        self._timer = threading.Timer(self.seconds, self._shut)
        self._timer.daemon = True

    def watch(self, made: socket.socket) -> None:
        """Take note of a socket, before anything is said over it."""
        # a copy: TLS takes the socket itself over
        self._held.append(made.dup())
        if self._passed.is_set():
            self._shut()

    def check(self) -> None:
        """Raise ConnectionFailed when time is up: what was read until then may be cut off."""
        if self._passed.is_set():
            raise ConnectionFailed(f"The server took longer than {self.seconds:g} s.")

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._timer.join()
        for held in self._held:
            held.close()
        if isinstance(error, Exception):
            self.check()

    def _shut(self) -> None:
        self._passed.set()
        for held in self._held:
            with suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)
