"""SIGTERM, Ctrl+C, a terminal that is closed, and a cancel as one exception at one place, so that a run can end what it
has begun.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_shielded = threading.Event()
_held = threading.Event()
# one came while it was held
_waiting = threading.Event()


@contextmanager
def as_cancel(*, held: bool = False) -> Iterator[list[int]]:
    """Turn SIGINT, SIGTERM and SIGHUP into KeyboardInterrupt within the block; yields the list of those received.

    Only the first one interrupts: a second must not break the cleaning up. With ``held`` it waits for `release`, or for
    somebody who insists: between its claim and its beginning a run could not say that it was cancelled.
    """
    received: list[int] = []
    _clear()
    if held:
        _held.set()

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if _shielded.is_set():
            return
        if len(received) == 1 and _held.is_set():
            _waiting.set()
        elif len(received) == 1 or _held.is_set():
            _held.clear()
            raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _heeded()}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _clear()


def release() -> None:
    """End the holding of `as_cancel`; raises KeyboardInterrupt when one has come in the meantime."""
    _held.clear()
    if _waiting.is_set():
        _waiting.clear()
        raise KeyboardInterrupt


def _heeded() -> tuple[int, ...]:
    # nohup has it ignored, so that what it starts outlives the terminal
    is_ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return (signal.SIGINT, signal.SIGTERM) if is_ignored else (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _clear() -> None:
    for flag in (_shielded, _held, _waiting):
        flag.clear()


def shield() -> None:
    """From here to the end of the `as_cancel` block nothing interrupts: what is left is to write down what happened."""
    _shielded.set()


def interrupt_main() -> None:
    """Interrupt the main thread as Ctrl+C would, out of whatever it waits for; for other threads."""
    main = threading.main_thread().ident
    if main is not None and not _shielded.is_set():
        signal.pthread_kill(main, signal.SIGINT)
