"""A mail server and a webhook server on this machine, which record what they receive and can be made to fail."""

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


class _SmtpHandler(socketserver.StreamRequestHandler):
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
        self.send("220 ready")
        while words := self.rfile.readline().decode().split():
            getattr(self, f"on_{words[0].lower()}", self.on_unknown)(*words[1:])
            if words[0].upper() == "QUIT":
                return

    def send(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def on_ehlo(self, *words: str) -> None:
        self.send("250-mail.example.com")
        if self.server.starttls and not isinstance(self.request, ssl.SSLSocket):
            self.send("250-STARTTLS")
        self.send("250-AUTH PLAIN")
        self.send("250 8BITMIME")

    def on_starttls(self) -> None:
        self.send("220 ready for TLS")
        assert self.server.tls is not None
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def on_auth(self, method: str, token: str) -> None:
        _, user, password = base64.b64decode(token).decode().split("\0")
        self.server.logins.append(user)
        is_valid = (user, password) == ("etl", self.server.password)
        self.send("235 accepted" if is_valid else f"535 {password} is wrong")

    def on_mail(self, *words: str) -> None:
        self.send("250 OK")

    def on_rcpt(self, *words: str) -> None:
        refused = any(address in words[0] for address in self.server.refused)
        self.send("550 unknown recipient" if refused else "250 OK")

    def on_data(self) -> None:
        self.send("354 end with a dot")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        if self.server.stalls.is_set():
            self.server.stalled.set()
            self.server.resume.wait(240)
            return
        mail = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.server.encrypted.append(isinstance(self.request, ssl.SSLSocket))
        self.server.mails.append(mail)
        self.send("250 accepted")

    def on_rset(self) -> None:
        self.send("250 OK")

    def on_quit(self) -> None:
        self.send("221 bye")

    def on_unknown(self, *words: str) -> None:
        self.send("502 unknown command")


class MailServer(socketserver.ThreadingTCPServer):
    """The mail server. ``refused`` are unknown recipients; while ``stalls`` is set, mails get no response.

    ``stalled`` is set when a mail gets none. ``resume`` ends the connections of such mails.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _SmtpHandler)
        self.mails: list[EmailMessage] = []
        self.refused: set[str] = set()
        # the user of each login
        self.logins: list[str] = []
        # for each mail, whether it was sent over TLS
        self.encrypted: list[bool] = []
        # with a context, the connection uses TLS from its start, or after STARTTLS
        self.tls: ssl.SSLContext | None = None
        self.starttls = False
        self.password = ""
        self.stalls, self.stalled, self.resume = threading.Event(), threading.Event(), threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@dataclass(frozen=True)
class Post:
    """A request that the webhook server has received."""

    headers: dict[str, str]
    body: bytes
    path: str = ""


@dataclass
class WebhookServer:
    """The webhook server. Responds with ``status`` and, if not empty, with ``location``."""

    port: int = 0
    status: int = 200
    location: str = ""
    posts: list[Post] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=canary-9127"


@contextmanager
def mail_server(port: int = 0) -> Iterator[MailServer]:
    """Run a mail server for the block."""
    with MailServer(port) as server:
        _serve(server)
        try:
            yield server
        finally:
            server.resume.set()
            server.shutdown()


@contextmanager
def webhook_server(tls: ssl.SSLContext | None = None) -> Iterator[WebhookServer]:
    """Run a webhook server for the block, with TLS if there is a context."""
    webhook = WebhookServer()

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            webhook.posts.append(Post(dict(self.headers.items()), body, self.path))
            self.respond()

        def do_GET(self) -> None:
            webhook.posts.append(Post(dict(self.headers.items()), b"GET"))
            self.respond()

        def respond(self) -> None:
            self.send_response(webhook.status)
            if webhook.location:
                self.send_header("Location", webhook.location)
            self.end_headers()
            self.wfile.write(b"said the receiver")

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        webhook.port = int(server.server_address[1])
        _serve(server)
        try:
            yield webhook
        finally:
            server.shutdown()


def _serve(server: socketserver.BaseServer) -> None:
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@contextmanager
def dripping_server(start: bytes) -> Iterator[int]:
    """Return, for the block, the port of a server that sends ``start``, then a byte ten times per second."""
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
