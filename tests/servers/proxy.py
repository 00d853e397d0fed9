"""A TCP proxy between a client and PostgreSQL's socket that breaks a connection when the client sends certain bytes.

Simple queries are sent as plain text, in `Q` messages (PostgreSQL documentation, "Message Formats"). The proxy counts
the faults that it has applied, so that tests can check that there was one.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum


class Fault(Enum):
    # forward everything
    NONE = "none"
    # forward the message and reset the connection instead of forwarding the answer
    LOSE_ANSWER = "lose answer"
    # reset the connection before the message reaches the server
    RESET = "reset"
    # forward nothing more in either direction; both connections stay open
    FREEZE = "freeze"
    # forward the message, then freeze
    FREEZE_AFTER = "freeze after"


class Proxy:
    """Listens on a port of 127.0.0.1 and forwards to a server's Unix socket."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.fault, self.trigger, self.after = Fault.NONE, b"", b""
        self.fired = 0
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def break_at(self, fault: Fault, trigger: bytes, *, after: bytes = b"") -> None:
        """Apply the fault once, to the connection on which the client sends ``trigger`` after it has sent ``after``."""
        self.fault, self.trigger, self.after = fault, trigger, after

    def close(self) -> None:
        self._closed.set()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.server)
        is_armed = not self.after
        with client, server, contextlib.suppress(OSError):
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is server:
                        client.sendall(data)
                        continue
                    is_armed = is_armed or self.after in data
                    if is_armed and self._fires(data):
                        self._break(client, server, data)
                        return
                    server.sendall(data)

    def _fires(self, data: bytes) -> bool:
        return self.fault is not Fault.NONE and self.trigger in data

    def _break(self, client: socket.socket, server: socket.socket, data: bytes) -> None:
        fault, self.fault = self.fault, Fault.NONE
        self.fired += 1
        if fault in (Fault.LOSE_ANSWER, Fault.FREEZE_AFTER):
            server.sendall(data)
            # the answer, which shows that the server has executed the message, is discarded
            server.recv(65536)
        if fault in (Fault.FREEZE, Fault.FREEZE_AFTER):
            # longer than any test waits
            self._closed.wait(300)
        # linger 0: the client's connection is reset instead of closed in order
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def proxied(server: str) -> Iterator[Proxy]:
    """Return, for the block, a proxy to the server's Unix socket."""
    proxy = Proxy(server)
    try:
        yield proxy
    finally:
        proxy.close()
