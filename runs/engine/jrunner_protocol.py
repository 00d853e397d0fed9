"""Reads jrunner's events, one JSON object per line, and enforces no_progress_timeout."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

from connections.sdk.errors import NoProgress
from connections.sdk.protocols import MAX_BUSY_SECONDS

Message = dict[str, Any]
_BLOCK = 65536


class IdleTimer:
    """Expires ``seconds`` (0: never) after the last progress: rows or bytes that moved, or a busy source."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._totals: tuple[Any, Any] | None = None
        self._last_movement = self._last_progress = time.monotonic()

    def on_message(self, message: Message) -> None:
        """Restart the timer if the message reports progress."""
        if message["event"] == "waiting":
            # waiting for a lock is no progress
            return
        now = time.monotonic()
        totals = message.get("rows"), message.get("bytes")
        if message["event"] != "progress" or totals != self._totals:
            self._totals, self._last_movement, self._last_progress = totals, now, now
        elif message.get("at_work") and now - self._last_movement < MAX_BUSY_SECONDS:
            self._last_progress = now

    def remaining(self) -> float | None:
        """Return the seconds left, None without a limit."""
        return max(0.0, self._last_progress + self.seconds - time.monotonic()) if self.seconds else None


def messages(child: subprocess.Popen[bytes], timer: IdleTimer, log: Callable[[str], object]) -> Iterator[Message]:
    """Yield the child's messages until it closes its output. Raises NoProgress when the timer expires.

    ``log`` is called with each line that is no message: drivers and libraries may print, too.
    """
    assert child.stdout is not None
    partial_line = b""
    while True:
        ready, _, _ = select.select([child.stdout], [], [], timer.remaining())
        if not ready:
            raise _no_progress(timer.seconds)
        block = os.read(child.stdout.fileno(), _BLOCK)
        if not block:
            if partial_line:
                log(partial_line.decode("utf-8", "replace"))
            return
        *lines, partial_line = (partial_line + block).split(b"\n")
        for line in lines:
            message = _parsed(line)
            if message is None:
                log(line.decode("utf-8", "replace"))
                continue
            timer.on_message(message)
            yield message


def _parsed(line: bytes) -> Message | None:
    """Return the message, None for a line that is none."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) and "event" in message else None


def _no_progress(seconds: float) -> NoProgress:
    return NoProgress(
        f"The transfer made no progress for {seconds:g} seconds: no row and no byte moved, and the source is not known"
        " to be busy; nothing was published.",
        hint="Check whether the source, the destination or the network between them hangs, then run it again. The"
        " setting no_progress_timeout limits how long a transfer may be idle.",
    )
