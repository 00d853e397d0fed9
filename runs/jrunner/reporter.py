"""Writes the output of jrunner: messages to standard output, log lines to standard error, both without secrets."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from connections.sdk.errors import PipekitError
from connections.sdk.formatting import indented
from connections.secrets.redaction import Redactor, redactor
from runs.jrunner.protocol import (
    DoneMessage,
    ErrorMessage,
    Message,
    ProgressMessage,
    RouteMessage,
    WaitingMessage,
    WarningMessage,
    to_line,
)

# seconds between two progress messages
_INTERVAL = 0.5


class Reporter:
    """Writes messages and log lines. Without ``events``, standard output is reserved for rows."""

    def __init__(self, secrets: tuple[str, ...] = (), *, events: bool = True) -> None:
        self.redacted = Redactor(secrets).text
        self.events = events
        self.started = time.monotonic()
        # rows and bytes so far
        self.totals = (0, 0)
        # called from another thread while nothing moves: is the source, or else this process, busy?
        self.is_busy: Callable[[], bool] = lambda: False
        self._lock = threading.Lock()
        self._last_progress = 0.0

    def begin(self, secrets: tuple[str, ...]) -> None:
        """Begin a transfer with these secrets, which are never written; its time is measured from now."""
        self.redacted = Redactor(secrets).text
        # for log records of libraries
        for secret in secrets:
            redactor().add(secret)
        self.started = time.monotonic()

    def log(self, text: str) -> None:
        """Write the text to standard error, without secrets."""
        print(f"jrunner: {indented(self.redacted(text))}", file=sys.stderr, flush=True)

    def send(self, message: Message) -> None:
        """Write a message. The caller redacts values that may contain secrets."""
        if not self.events:
            return
        with self._lock:
            try:
                sys.stdout.write(f"{to_line(message)}\n")
                sys.stdout.flush()
            except OSError:
                # the reader has closed the pipe; whether to stop is decided by `cancel`
                self.events = False

    def route(self, route: str, why: str) -> None:
        self.log(f"route {route}: {why}")
        self.send(RouteMessage(route=route, why=self.redacted(why)))

    def warning(self, message: str) -> None:
        self.log(f"warning: {message}")
        self.send(WarningMessage(message=self.redacted(message)))

    def waiting(self, message: str) -> None:
        """Report that a statement waits for a lock."""
        if self.events:
            self.send(WaitingMessage(message=self.redacted(message)))
        else:
            self.log(message)

    def progress(self, rows: int, size: int) -> None:
        """Report the totals so far, at most twice a second."""
        self.totals = rows, size
        now = time.monotonic()
        if now - self._last_progress >= _INTERVAL:
            self._last_progress = now
            self.send(ProgressMessage(rows=rows, bytes=size))

    def periodic_progress(self, *, is_busy: bool) -> None:
        """Report the totals whether or not they have changed."""
        rows, size = self.totals
        self.send(ProgressMessage(rows=rows, bytes=size, at_work=is_busy))

    def done(self, route: str, *, read: int, written: int, size: int) -> None:
        seconds = round(time.monotonic() - self.started, 3)
        self.log(f"{written} rows in {seconds} s")
        self.send(DoneMessage(route=route, rows_read=read, rows_written=written, bytes=size, seconds=seconds))

    def error(self, error: PipekitError) -> None:
        fields = {key: value if key == "code" else self.redacted(value) for key, value in error.as_dict().items()}
        self.log("\n".join(part for part in (fields["message"], fields["hint"], fields["detail"]) if part))
        self.send(ErrorMessage(error=fields))
