"""SIGTERM, Ctrl+C, a terminal that is closed, and a cancel as one exception at one place, so that a run can end what it
has begun.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

_shielded = threading.Event()
_held = threading.Event()
# one came while it was held
_waiting = threading.Event()
# the next one is sent by a thread of this process
_from_within = threading.Event()
# how it stands among the signals received
WITHIN = 0
_FLAGS = (_shielded, _held, _waiting)
# blocks of `as_cancel` that are open
_open: list[list[int]] = []


@contextmanager
def as_cancel(*, held: bool = False) -> Iterator[list[int]]:
    """Turn SIGINT, SIGTERM and SIGHUP into KeyboardInterrupt within the block; yields the list of those received.

    Only the first one interrupts: a second must not break the cleaning up. With ``held`` it waits for `release`, or for
    somebody who insists: between its claim and its beginning a run could not say that it was cancelled. In the list an
    interrupt by `interrupt_main` is WITHIN.

    A block within another one hears the signals in its place, those first that wait there; afterwards the outer one is
    as it was.
    """
    received: list[int] = []
    before_flags = [bool(_open) and flag.is_set() for flag in _FLAGS]
    _set(_FLAGS, (False, held, _waiting.is_set() and bool(_open)))
    _open.append(received)

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(WITHIN if _from_within.is_set() else number)
        _from_within.clear()
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
        _open.pop()
        _set(_FLAGS, before_flags)


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


def _set(flags: Sequence[threading.Event], values: Sequence[bool]) -> None:
    for flag, value in zip(flags, values, strict=True):
        flag.set() if value else flag.clear()


def shield() -> None:
    """From here to the end of the `as_cancel` block nothing interrupts: what is left is to write down what happened."""
    _shielded.set()


def interrupt_main() -> bool:
    """Interrupt the main thread as Ctrl+C would, out of whatever it waits for; for other threads.

    Returns False when nothing may interrupt it now.
    """
    main = threading.main_thread().ident
    if main is None or _shielded.is_set():
        return False
    _from_within.set()
    signal.pthread_kill(main, signal.SIGINT)
    return True
