"""Cancellation of a transfer: by a signal, or because the parent process has ended."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType

from connections.sdk.errors import Cancelled
from connections.secrets.redaction import redactor

_PR_SET_PDEATHSIG = 1
# exit codes
FAILED, CANCELLED = 1, 130


class Cancellation:
    """A request to stop, set once. Working code calls ``check()``; blocking code registers a callback to unblock it."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self._callbacks: list[Callable[[], object]] = []

    def check(self) -> None:
        """Raise Cancelled if a stop was requested."""
        if self.requested.is_set():
            raise Cancelled("The transfer was cancelled.", hint="Nothing was written; run it again.")

    def on_request(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` in the main thread when a stop is requested, or here and at once if it already was.

        It must return within seconds: it interrupts the main thread, and the callbacks are called one after another.
        """
        self._callbacks.append(callback)
        if self.requested.is_set():
            _call(callback)

    def request(self) -> None:
        """Request a stop and call the callbacks, once."""
        if not self.requested.is_set():
            self.requested.set()
            for callback in self._callbacks:
                _call(callback)


def _call(callback: Callable[[], object]) -> None:
    try:
        callback()
    except Exception:  # the others are called all the same
        print(redactor().text(traceback.format_exc()), file=sys.stderr, flush=True)


def cancel_on_signals(cancellation: Cancellation) -> None:
    """Request the cancellation on SIGINT, SIGTERM and SIGHUP."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        cancellation.request()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)


class Parent:
    """The process that started this one; this process must not outlive it.

    The parent passes its id in JRUNNER_PARENT, because it may have ended before this process calls getppid().
    """

    def __init__(self) -> None:
        self.pid = int(os.environ.pop("JRUNNER_PARENT", "0")) or os.getppid()

    def follow(self, cancellation: Cancellation) -> None:
        """Request cancellation when the parent ends. On Linux the kernel sends a signal; elsewhere poll `has_ended`.

        The kernel also signals when only the *thread* that started this process ends, so the handler checks.
        """
        if sys.platform != "linux":
            return

        def handle(_number: int, _frame: FrameType | None) -> None:
            if self.has_ended():
                cancellation.request()

        signal.signal(signal.SIGUSR1, handle)
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1, 0, 0, 0)
        # the parent may have ended before prctl() was called
        if self.has_ended():
            cancellation.request()

    def has_ended(self) -> bool:
        return os.getppid() != self.pid
