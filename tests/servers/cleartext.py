"""A server that speaks the start of PostgreSQL's protocol (documentation, chapter 54) and asks for a clear password.

It declines TLS unless it was given a certificate, sends AuthenticationCleartextPassword, and keeps what it is sent.
"""

from __future__ import annotations

import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SSL_REQUEST, _GSS_REQUEST, _CANCEL = 80877103, 80877104, 80877102


class _Conversation(socketserver.BaseRequestHandler):
    server: ClearTextServer

    def handle(self) -> None:
        with suppress(OSError, struct.error):
            while True:
                length, code = struct.unpack("!II", self._read(8))
                if code not in (_SSL_REQUEST, _GSS_REQUEST):
                    break
                self._answer(code)
            if code == _CANCEL:
                return
            self._read(length - 8)
            self.server.asked += 1
            self._ask()
            kind, length = struct.unpack("!cI", self._read(5))
            if kind == b"p":
                self.server.passwords.append(self._read(length - 4).rstrip(b"\0").decode())
                said = b"password authentication failed"
                if self.server.repeats:
                    said += f" for {self.server.passwords[-1]}, {self.server.passwords[-1]!r}".encode()
                self._say(b"E", b"SFATAL\0C28P01\0M" + said + b"\0H" + said + b"\0\0")

    def finish(self) -> None:
        # wrapped by TLS, it is not what the server knows and closes
        self.request.close()

    def _answer(self, code: int) -> None:
        if code == _GSS_REQUEST or self.server.tls is None:
            self.request.sendall(b"N")
            return
        self.request.sendall(b"S")
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)

    def _ask(self) -> None:
        question = b"R" + struct.pack("!II", 8, 3)
        if not self.server.in_pieces:
            self.request.sendall(question)
            return
        # no packet holds a whole message
        for byte in question:
            self.request.sendall(bytes([byte]))

    def _say(self, kind: bytes, body: bytes) -> None:
        self.request.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def _read(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            if not (part := self.request.recv(count - len(found))):
                raise OSError("hung up")
            found += part
        return found


class ClearTextServer(socketserver.ThreadingTCPServer):
    """``asked`` counts how often it asked, ``passwords`` are what it was told."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.asked = 0
        self.passwords: list[str] = []
        self.in_pieces = False
        # whether it says what it was told
        self.repeats = False
        self.tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return f"jdbc:postgresql://127.0.0.1:{self.server_address[1]}/dw"


@contextmanager
def clear_text_server() -> Iterator[ClearTextServer]:
    with ClearTextServer() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
