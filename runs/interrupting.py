"""SIGTERM, Ctrl+C and a cancel as one exception at one place, so that a run can end what it has begun."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_shielded = threading.Event()


@contextmanager
def as_cancel() -> Iterator[list[int]]:
    """Turn SIGINT and SIGTERM into KeyboardInterrupt within the block; yields the list of those received.

    Only the first one interrupts: a second must not break the cleaning up.
    """
    received: list[int] = []
    _shielded.clear()

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1 and not _shielded.is_set():
            raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _shielded.clear()


def shield() -> None:
    """From here to the end of the `as_cancel` block nothing interrupts: what is left is to write down what happened."""
    _shielded.set()


def interrupt_main() -> None:
    """Interrupt the main thread as Ctrl+C would, out of whatever it waits for; for other threads."""
    main = threading.main_thread().ident
    if main is not None and not _shielded.is_set():
        signal.pthread_kill(main, signal.SIGINT)
