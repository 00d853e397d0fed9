"""Periodic progress reports: how much has moved and, when nothing has, whether the source is busy.

The parent process evaluates the reports against no_progress_timeout; this module only sends them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from connections.registry import connector
from connections.sdk.errors import ConnectionFailed, ConnectionLost, PipekitError
from connections.sdk.parameters import ConnectionParameters
from runs.jrunner.reporter import Reporter

# reports per no_progress_timeout, and the longest interval between two of them in seconds
_REPORTS, _LONGEST = 5, 30.0


@contextmanager
def periodic_reports(reporter: Reporter, *, no_progress_timeout: float) -> Iterator[None]:
    """Report from a thread while the block runs, several times per ``no_progress_timeout`` (seconds; 0: none)."""
    stopped = threading.Event()
    interval = min(no_progress_timeout / _REPORTS, _LONGEST) if no_progress_timeout else _LONGEST
    thread = threading.Thread(target=_report, args=(reporter, stopped, interval), name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()


def _report(reporter: Reporter, stopped: threading.Event, interval: float) -> None:
    before = None
    while not stopped.wait(interval):
        totals = reporter.totals
        is_busy = totals == before and reporter.is_busy()
        before = totals
        if not stopped.is_set():
            reporter.periodic_progress(is_busy=is_busy)


def is_reachable(parameters: ConnectionParameters) -> bool:
    """Return whether a system accepts a new connection; True where this process cannot check."""
    try:
        connector(parameters.kind).connect(parameters).close()
    except (ConnectionFailed, ConnectionLost):
        return False
    except PipekitError:
        return True
    return True
