"""What jrunner says: JSON lines on standard output, lines for people on standard error, secrets in neither."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from connections.sdk.errors import PipekitError
from connections.sdk.visible_text import indented
from connections.secrets.redaction import Redactor

_INTERVAL = 0.5


class Reporter:
    """Writes events and log lines. Without ``events`` standard output is left to rows."""

    def __init__(self, secrets: tuple[str, ...] = (), *, events: bool = True) -> None:
        self.redacted = Redactor(secrets).text
        self.events = events
        self.started = time.monotonic()
        # rows and bytes so far
        self.moved = (0, 0)
        # asked, from another thread, when nothing moves: whether the source, or else this process, is at work
        self.at_work: Callable[[], bool] = lambda: False
        self._lock = threading.Lock()
        self._last = 0.0

    def log(self, text: str) -> None:
        print(f"jrunner: {indented(self.redacted(text))}", file=sys.stderr, flush=True)

    def event(self, name: str, **values: Any) -> None:
        if not self.events:
            return
        with self._lock:
            try:
                sys.stdout.write(json.dumps({"event": name, **values}, ensure_ascii=False) + "\n")
                sys.stdout.flush()
            except OSError:
                # nobody listens any more; whoever stopped listening also says whether to stop
                self.events = False

    def route(self, route: str, why: str) -> None:
        self.log(f"route {route}: {why}")
        self.event("route", route=route, why=self.redacted(why))

    def warning(self, message: str) -> None:
        self.log(f"warning: {message}")
        self.event("warning", message=self.redacted(message))

    def waiting(self, message: str) -> None:
        """Report that a lock is waited for: into the run's log by whoever asked for the transfer."""
        if self.events:
            self.event("waiting", message=self.redacted(message))
        else:
            self.log(message)

    def progress(self, rows: int, size: int) -> None:
        """Report totals so far, at most twice a second."""
        self.moved = rows, size
        now = time.monotonic()
        if now - self._last >= _INTERVAL:
            self._last = now
            self.event("progress", rows=rows, bytes=size)

    def pulse(self, *, at_work: bool) -> None:
        """Report totals whether or not they have changed."""
        rows, size = self.moved
        self.event("progress", rows=rows, bytes=size, at_work=at_work)

    def done(self, route: str, *, read: int, written: int, size: int) -> None:
        seconds = round(time.monotonic() - self.started, 3)
        self.log(f"{written} rows in {seconds} s")
        self.event("done", route=route, rows_read=read, rows_written=written, bytes=size, seconds=seconds)

    def error(self, error: PipekitError) -> None:
        told = {key: value if key == "code" else self.redacted(value) for key, value in error.as_dict().items()}
        self.log("\n".join(part for part in (told["message"], told["hint"], told["detail"]) if part))
        self.event("error", error=told)
