"""What jrunner says, line by line, and for how long it may say nothing new."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from connections.sdk.errors import NoProgress

Message = dict[str, Any]
# seconds after which a source that is said to be at work, and delivers nothing, is not waited for any more
LONGEST = 86400.0
_BLOCK = 65536


class Patience:
    """Runs out ``seconds`` (0: never) after the last progress: rows or bytes that moved, or a source at work."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._moved: tuple[Any, Any] | None = None
        self._began = self._last = time.monotonic()

    def hear(self, message: Message) -> None:
        if message["event"] == "waiting":
            # for a lock, which is no progress
            return
        now = time.monotonic()
        moved = message.get("rows"), message.get("bytes")
        if message["event"] != "progress" or moved != self._moved:
            self._moved, self._began, self._last = moved, now, now
        elif message.get("at_work") and now - self._began < LONGEST:
            self._last = now

    def left(self) -> float | None:
        """Return the seconds left, None for as long as it takes."""
        return max(0.0, self._last + self.seconds - time.monotonic()) if self.seconds else None


def messages(child: subprocess.Popen[bytes], patience: Patience) -> Iterator[Message]:
    """Yield what the child says until it closes its output. Raises NoProgress when the patience runs out."""
    assert child.stdout is not None
    held = b""
    while True:
        ready, _, _ = select.select([child.stdout], [], [], patience.left())
        if not ready:
            raise _stalled(patience)
        block = os.read(child.stdout.fileno(), _BLOCK)
        if not block:
            return
        *lines, held = (held + block).split(b"\n")
        for line in lines:
            message = json.loads(line)
            patience.hear(message)
            yield message


def _stalled(patience: Patience) -> NoProgress:
    return NoProgress(
        f"The transfer stood still for {patience.seconds:g} seconds: no row and no byte moved, and nothing says that"
        " the source is at work; nothing was published.",
        hint="Does the source, the destination or the network between hang? Run it again. The setting"
        " no_progress_timeout is how long a transfer may stand still.",
    )
