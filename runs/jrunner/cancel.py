"""The life of a transfer's process: stopped by signals, or by the death of the process that asked for it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from connections.sdk import session_cleanup
from connections.sdk.errors import Cancelled

_PR_SET_PDEATHSIG = 1
_FAILED, _CANCELLED = 1, 130
# seconds that a cancelled transfer may take to end in good order, and then to have its sessions ended
_GRACE, _END = 5.0, 4.0


class Cancellation:
    """A request to stop, set once. Whoever works asks ``check()``; whoever blocks registers what unblocks it."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self._callbacks: list[Callable[[], object]] = []

    def check(self) -> None:
        if self.requested.is_set():
            raise Cancelled("The transfer was cancelled.", hint="Nothing was written; run it again.")

    def calls(self, callback: Callable[[], object]) -> None:
        """Have ``callback`` called, from another thread, when a stop is requested (at once when it already is)."""
        self._callbacks.append(callback)
        if self.requested.is_set():
            callback()

    def request(self) -> None:
        if not self.requested.is_set():
            self.requested.set()
            for callback in self._callbacks:
                callback()


def on_signals(cancellation: Cancellation) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        cancellation.request()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)


class Parent:
    """The process that started this one; when it ends, this one has nobody to work for.

    It tells its id, because it may have ended before this one could ask for it.
    """

    def __init__(self) -> None:
        self.pid = int(os.environ.pop("JRUNNER_PARENT", "0")) or os.getppid()

    def follow(self, cancellation: Cancellation) -> None:
        """Be told by the kernel where it can; `gone` finds it out anywhere.

        The kernel signals when the *thread* that started us ends, so the handler looks whether the process did.
        """
        if sys.platform != "linux":
            return

        def handle(_number: int, _frame: FrameType | None) -> None:
            if self.gone():
                cancellation.request()

        signal.signal(signal.SIGUSR1, handle)
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1, 0, 0, 0)
        # it ended before the kernel was asked
        if self.gone():
            cancellation.request()

    def gone(self) -> bool:
        return os.getppid() != self.pid


def run(work: Callable[[], int], cancellation: Cancellation, parent: Parent | None) -> NoReturn:
    """Do ``work`` in a thread, so that this one hears signals whatever a driver is doing; end with its exit code."""
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(work()), name="transfer", daemon=True)
    thread.start()
    deadline = float("inf")
    while thread.is_alive() and time.monotonic() < deadline:
        thread.join(0.5)
        if parent and parent.gone():
            cancellation.request()
        if cancellation.requested.is_set():
            deadline = min(deadline, time.monotonic() + _GRACE)
    if thread.is_alive():
        # a driver hangs: what it had written is undone by its system as the session ends
        session_cleanup.terminate_all(seconds=_END)
    _leave(_CANCELLED if thread.is_alive() else codes[0] if codes else _FAILED)


def _leave(code: int) -> NoReturn:
    """End at once: threads stuck in drivers and the teardown of big libraries are nobody's business any more."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or _FAILED
    os._exit(code)
