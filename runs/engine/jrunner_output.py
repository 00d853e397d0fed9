"""Reads the messages of jrunner from its standard output, and enforces no_progress_timeout."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator

from connections.sdk.errors import NoProgress
from connections.sdk.protocols import MAX_BUSY_SECONDS
from runs.jrunner.protocol import Message, ProgressMessage, WaitingMessage, parse

_BLOCK = 65536


class ProgressTimer:
    """Expires ``seconds`` (0: never) after the last progress: rows or bytes that moved, or a busy source."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._totals: tuple[int, int] | None = None
        self._last_movement = self._last_progress = time.monotonic()

    def on_message(self, message: Message) -> None:
        """Restart the timer if the message reports progress."""
        if isinstance(message, WaitingMessage):
            # waiting for a lock is no progress
            return
        now = time.monotonic()
        totals = (message.rows, message.bytes) if isinstance(message, ProgressMessage) else None
        if totals is None or totals != self._totals:
            self._totals, self._last_movement, self._last_progress = totals, now, now
        elif isinstance(message, ProgressMessage) and message.at_work and now - self._last_movement < MAX_BUSY_SECONDS:
            self._last_progress = now

    def remaining(self) -> float | None:
        """Return the seconds left, None without a limit."""
        return max(0.0, self._last_progress + self.seconds - time.monotonic()) if self.seconds else None


def messages(output: int, timer: ProgressTimer, log: Callable[[str], object]) -> Iterator[Message]:
    """Yield the messages from a file descriptor until it is closed. Raises NoProgress when the timer expires.

    ``log`` is called with each line that is no message: drivers and libraries may print, too.
    """
    partial_line = b""
    while True:
        ready, _, _ = select.select([output], [], [], timer.remaining())
        if not ready:
            raise _no_progress(timer.seconds)
        block = os.read(output, _BLOCK)
        if not block:
            if partial_line:
                log(partial_line.decode("utf-8", "replace"))
            return
        *lines, partial_line = (partial_line + block).split(b"\n")
        for line in lines:
            message = parse(line)
            if message is None:
                log(line.decode("utf-8", "replace"))
                continue
            timer.on_message(message)
            yield message


def _no_progress(seconds: float) -> NoProgress:
    return NoProgress(
        f"The transfer made no progress for {seconds:g} seconds: no row and no byte moved, and the source is not known"
        " to be busy; nothing was published.",
        hint="Check whether the source, the destination or the network between them hangs, then run it again. The"
        " setting no_progress_timeout limits how long a transfer may be idle.",
    )
