"""A mail server and a webhook's receiver on this machine, which keep what they get and can be made to misbehave."""

from __future__ import annotations

import base64
import email
import email.policy
import http.server
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage


class _Conversation(socketserver.StreamRequestHandler):
    server: MailServer

    def setup(self) -> None:
        if self.server.tls and not self.server.starttls:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        super().finish()
        if isinstance(self.request, ssl.SSLSocket):
            # the server closes only the socket that TLS replaced
            self.request.close()

    def handle(self) -> None:
        self.say("220 here")
        while words := self.rfile.readline().decode().split():
            getattr(self, f"on_{words[0].lower()}", self.on_unknown)(*words[1:])
            if words[0].upper() == "QUIT":
                return

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def on_ehlo(self, *words: str) -> None:
        self.say("250-here")
        if self.server.starttls and not isinstance(self.request, ssl.SSLSocket):
            self.say("250-STARTTLS")
        self.say("250-AUTH PLAIN")
        self.say("250 8BITMIME")

    def on_starttls(self) -> None:
        self.say("220 go on")
        assert self.server.tls is not None
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def on_auth(self, method: str, token: str) -> None:
        _, user, password = base64.b64decode(token).decode().split("\0")
        fine = (user, password) == ("etl", self.server.password)
        self.say("235 welcome" if fine else f"535 no, {password} is wrong")

    def on_mail(self, *words: str) -> None:
        self.say("250 fine")

    def on_rcpt(self, *words: str) -> None:
        refused = any(address in words[0] for address in self.server.refused)
        self.say("550 nobody of that name" if refused else "250 fine")

    def on_data(self) -> None:
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        if self.server.stalls.is_set():
            self.server.stalled.set()
            self.server.resume.wait(240)
            return
        found = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        self.server.encrypted.append(isinstance(self.request, ssl.SSLSocket))
        self.server.mails.append(found)
        self.say("250 taken")

    def on_rset(self) -> None:
        self.say("250 fine")

    def on_quit(self) -> None:
        self.say("221 bye")

    def on_unknown(self, *words: str) -> None:
        self.say("502 what?")


class MailServer(socketserver.ThreadingTCPServer):
    """``refused`` are recipients it does not know; while ``stalls`` is set it takes mails and never answers."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Conversation)
        self.mails: list[EmailMessage] = []
        self.refused: set[str] = set()
        # for each mail, whether it came over TLS
        self.encrypted: list[bool] = []
        # with a context: TLS from the first byte, or after STARTTLS
        self.tls: ssl.SSLContext | None = None
        self.starttls = False
        self.password = ""
        self.stalls, self.stalled, self.resume = threading.Event(), threading.Event(), threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@dataclass(frozen=True)
class Post:
    headers: dict[str, str]
    body: bytes
    path: str = ""


@dataclass
class WebhookServer:
    """Answers with ``status`` and, when it redirects, to ``location``."""

    port: int = 0
    status: int = 200
    location: str = ""
    posts: list[Post] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=canary-9127"


@contextmanager
def mail_server(port: int = 0) -> Iterator[MailServer]:
    with MailServer(port) as server:
        _serve(server)
        try:
            yield server
        finally:
            server.resume.set()
            server.shutdown()


@contextmanager
def webhook_server(tls: ssl.SSLContext | None = None) -> Iterator[WebhookServer]:
    told = WebhookServer()

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.posts.append(Post(dict(self.headers.items()), body, self.path))
            self.answer()

        def do_GET(self) -> None:
            told.posts.append(Post(dict(self.headers.items()), b"GET"))
            self.answer()

        def answer(self) -> None:
            self.send_response(told.status)
            if told.location:
                self.send_header("Location", told.location)
            self.end_headers()
            self.wfile.write(b"said the receiver")

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        told.port = int(server.server_address[1])
        _serve(server)
        try:
            yield told
        finally:
            server.shutdown()


def _serve(server: socketserver.BaseServer) -> None:
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@contextmanager
def dripping_server(start: bytes) -> Iterator[int]:
    """Yield the port of a server that says this, then a byte ten times a second, for as long as it is listened to."""
    ended = threading.Event()

    class Dripping(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.sendall(start)
                while not ended.wait(0.1):
                    self.request.sendall(b"x")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Dripping) as server:
        _serve(server)
        try:
            yield int(server.server_address[1])
        finally:
            ended.set()
            server.shutdown()
