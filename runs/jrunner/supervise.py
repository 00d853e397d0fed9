"""Runs a transfer in a thread, so that signals and the end of the parent are noticed even while a driver blocks."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from connections.sdk import session_cleanup
from runs.jrunner.cancel import CANCELLED, FAILED, Cancellation, Parent

# seconds for a cancelled transfer to finish by itself, and then for terminating its sessions
_GRACE, _END = 5.0, 4.0


def run_supervised(work: Callable[[], int], cancellation: Cancellation, parent: Parent | None) -> NoReturn:
    """Run ``work`` in a thread and exit with its code; this thread handles signals even while a driver blocks."""
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(work()), name="transfer", daemon=True)
    thread.start()
    deadline = float("inf")
    while thread.is_alive() and time.monotonic() < deadline:
        thread.join(0.5)
        if parent and parent.has_ended():
            cancellation.request()
        if cancellation.requested.is_set():
            deadline = min(deadline, time.monotonic() + _GRACE)
    if thread.is_alive():
        # a driver hangs: the system rolls back what it has written when its session ends
        session_cleanup.terminate_all(seconds=_END)
    _exit(CANCELLED if thread.is_alive() else codes[0] if codes else FAILED)


def _exit(code: int) -> NoReturn:
    """Exit at once, without waiting for threads that hang in drivers or for the teardown of large libraries."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or FAILED
    os._exit(code)
