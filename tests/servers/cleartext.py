"""A server that requests a clear-text password by PostgreSQL's protocol (PostgreSQL documentation, chapter 54).

It declines TLS unless it has a certificate, sends AuthenticationCleartextPassword, and records the passwords.
"""

from __future__ import annotations

import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SSL_REQUEST, _GSS_REQUEST, _CANCEL = 80877103, 80877104, 80877102


class _Handler(socketserver.BaseRequestHandler):
    server: ClearTextServer

    def handle(self) -> None:
        with suppress(OSError, struct.error):
            while True:
                length, code = struct.unpack("!II", self._read(8))
                if code not in (_SSL_REQUEST, _GSS_REQUEST):
                    break
                self._answer_encryption_request(code)
            if code == _CANCEL:
                return
            self._read(length - 8)
            self.server.password_requests += 1
            self._request_password()
            kind, length = struct.unpack("!cI", self._read(5))
            if kind == b"p":
                self.server.passwords.append(self._read(length - 4).rstrip(b"\0").decode())
                message = b"password authentication failed"
                if self.server.repeats:
                    message += f" for {self.server.passwords[-1]}, {self.server.passwords[-1]!r}".encode()
                self._send(b"E", b"SFATAL\0C28P01\0M" + message + b"\0H" + message + b"\0\0")

    def finish(self) -> None:
        # the server closes only the original socket, not the one that TLS wraps
        self.request.close()

    def _answer_encryption_request(self, code: int) -> None:
        if code == _GSS_REQUEST or self.server.tls is None:
            self.request.sendall(b"N")
            return
        self.request.sendall(b"S")
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)

    def _request_password(self) -> None:
        message = b"R" + struct.pack("!II", 8, 3)
        if not self.server.in_pieces:
            self.request.sendall(message)
            return
        # so that no packet contains a complete message
        for byte in message:
            self.request.sendall(bytes([byte]))

    def _send(self, kind: bytes, body: bytes) -> None:
        self.request.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            if not (part := self.request.recv(count - len(data))):
                raise OSError("connection closed")
            data += part
        return data


class ClearTextServer(socketserver.ThreadingTCPServer):
    """The server. ``password_requests`` counts how often it requested one, ``passwords`` are those it received."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.password_requests = 0
        self.passwords: list[str] = []
        # whether the password request is sent byte by byte
        self.in_pieces = False
        # whether the error message contains the password
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
