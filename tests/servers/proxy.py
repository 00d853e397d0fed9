"""A TCP proxy between a client and PostgreSQL's socket, which breaks a connection at a chosen moment.

What it watches for is text in the client's messages (PostgreSQL documentation, "Message Formats": simple queries travel
as `Q` messages in plain text). Every fault that fired is counted, so that a test can prove it.
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
    # pass everything
    NONE = "none"
    # let the message through, then lose the answer: nobody knows what the server did
    LOSE_ANSWER = "lose answer"
    # break the connection before the message reaches the server
    RESET = "reset"
    # say nothing any more, in both directions; neither side is hung up on
    FREEZE = "freeze"
    # let the message through, and say nothing any more after it
    FREEZE_AFTER = "freeze after"


class Proxy:
    """Listens on a port of 127.0.0.1 and forwards to a server's Unix socket."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.fault, self.trigger, self.after = Fault.NONE, b"", b""
        self.fired = 0
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def break_at(self, fault: Fault, trigger: bytes, *, after: bytes = b"") -> None:
        """Apply the fault, once, to the connection on which ``trigger`` is sent, having sent ``after`` before."""
        self.fault, self.trigger, self.after = fault, trigger, after

    def close(self) -> None:
        self._over.set()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.server)
        seen_before = not self.after
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
                    seen_before = seen_before or self.after in data
                    if seen_before and self._fires(data):
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
            # the server has answered, so it is done; the answer goes nowhere
            server.recv(65536)
        if fault in (Fault.FREEZE, Fault.FREEZE_AFTER):
            # longer than any test waits
            self._over.wait(300)
        # linger 0: the peer gets a reset, not an orderly end
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def proxied(server: str) -> Iterator[Proxy]:
    proxy = Proxy(server)
    try:
        yield proxy
    finally:
        proxy.close()
