"""A time limit for a whole exchange with a server; socket timeouts restart with every byte received."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType

from connections.sdk.errors import ConnectionFailed

# seconds for one message
SECONDS = 15.0


class Deadline:
    """Context manager that shuts down the watched sockets when the time is up, which ends any wait on them."""

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = SECONDS if seconds is None else seconds
        self._passed = threading.Event()
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(self.seconds, self._shut)
        self._timer.daemon = True

    def watch(self, connection: socket.socket) -> None:
        """Add a socket, right after it is connected."""
        # a duplicate, because TLS detaches the socket it wraps
        self._sockets.append(connection.dup())
        if self._passed.is_set():
            self._shut()

    def check(self) -> None:
        """Raise ConnectionFailed if the time is up: what was read may be truncated."""
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
        for each in self._sockets:
            each.close()
        if isinstance(error, Exception):
            self.check()

    def _shut(self) -> None:
        self._passed.set()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
