"""Signal handling of runs: termination signals raise KeyboardInterrupt once, so that a run can clean up.

The signals are SIGINT, SIGTERM and SIGHUP; a requested cancel counts as one.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

_shielded = threading.Event()
_deferred = threading.Event()
# a signal was received while interrupts were deferred
_pending = threading.Event()
# the next signal is sent by a thread of this process
_from_thread = threading.Event()
# its number in the list of signals received
FROM_THREAD = 0
_FLAGS = (_shielded, _deferred, _pending)
# the lists of the open `as_interrupt` blocks, the innermost last
_blocks: list[list[int]] = []


@contextmanager
def as_interrupt(*, deferred: bool = False) -> Iterator[list[int]]:
    """Raise KeyboardInterrupt for SIGINT, SIGTERM and SIGHUP within the block; yield the list of signals received.

    Only the first signal interrupts, so that a second cannot break the cleanup. With ``deferred`` the first is kept
    until `end_deferral`, and a second interrupts at once: between the insert of its row and its start a run could not
    record that it was cancelled. An interrupt by `interrupt_main` is FROM_THREAD in the list.

    Blocks can be nested: the inner block receives the signals, beginning with one that is pending, and the state of the
    outer block is restored afterwards.
    """
    received: list[int] = []
    outer_flags = [bool(_blocks) and flag.is_set() for flag in _FLAGS]
    _set(_FLAGS, (False, deferred, _pending.is_set() and bool(_blocks)))
    _blocks.append(received)

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(FROM_THREAD if _from_thread.is_set() else number)
        _from_thread.clear()
        if _shielded.is_set():
            return
        if len(received) == 1 and _deferred.is_set():
            _pending.set()
        elif len(received) == 1 or _deferred.is_set():
            _deferred.clear()
            raise KeyboardInterrupt

    outer_handlers = {number: signal.signal(number, interrupt) for number in _handled_signals()}
    try:
        yield received
    finally:
        for number, handler in outer_handlers.items():
            signal.signal(number, handler)
        _blocks.pop()
        _set(_FLAGS, outer_flags)


def end_deferral() -> None:
    """Deliver interrupts from now on; raise KeyboardInterrupt if a signal is pending."""
    _deferred.clear()
    if _pending.is_set():
        _pending.clear()
        raise KeyboardInterrupt


def _handled_signals() -> tuple[int, ...]:
    # nohup ignores SIGHUP so that the process outlives its terminal
    is_ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return (signal.SIGINT, signal.SIGTERM) if is_ignored else (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _set(flags: Sequence[threading.Event], values: Sequence[bool]) -> None:
    for flag, value in zip(flags, values, strict=True):
        flag.set() if value else flag.clear()


def shield() -> None:
    """Ignore interrupts until the `as_interrupt` block ends, while the result is recorded."""
    _shielded.set()


def interrupt_main() -> bool:
    """Interrupt the main thread as Ctrl+C would, even in a blocking call. Called from other threads.

    Return False if the main thread is shielded.
    """
    main = threading.main_thread().ident
    if main is None or _shielded.is_set():
        return False
    _from_thread.set()
    signal.pthread_kill(main, signal.SIGINT)
    return True
