"""Runs the tick every minute, for machines without cron. A failing tick is reported and does not end the loop."""

from __future__ import annotations

import datetime as dt
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from django.db import close_old_connections
from django.utils import timezone

from scheduling.tick import lock
from scheduling.tick.tick import tick_and_housekeeping

_log = logging.getLogger(__name__)


def tick_until_signal(write: Callable[[str], object]) -> signal.Signals:
    """Tick until SIGTERM or SIGINT and return that signal. A tick in progress is finished first."""
    with _stopping() as (stop, received):
        while not stop.is_set():
            _tick(write)
            _collect_orphans()
            stop.wait(_until_next_minute(timezone.now()))
    return received[0]


def _tick(write: Callable[[str], object]) -> None:
    now = timezone.now()
    close_old_connections()
    try:
        report = tick_and_housekeeping(now)
    except lock.TickHangs as error:
        write(f"{now:%H:%M:%S} {error.message} {error.hint}")
        return
    except Exception:
        _log.exception("The tick failed; the next tick starts what is due.")
        return
    finally:
        close_old_connections()
    if report is None:
        write(f"{now:%H:%M:%S} another tick is in progress")
        return
    for line in [*report.problems(), *(f"{name}: started" for name in report.started)]:
        write(f"{now:%H:%M:%S} {line}")


def _collect_orphans() -> None:
    """Reap zombies that were reparented to this process, as all runs are if it is process 1 of a container.

    It is called between two ticks, when this process waits for no child of its own.
    """
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _until_next_minute(now: dt.datetime) -> float:
    """Return the seconds until just after the full minute, so that its slot is due."""
    return 60.05 - (now.second + now.microsecond / 1e6)


@contextmanager
def _stopping() -> Iterator[tuple[threading.Event, list[signal.Signals]]]:
    stop, received = threading.Event(), list[signal.Signals]()

    def receive(number: int, frame: object) -> None:
        received.append(signal.Signals(number))
        stop.set()

    before = {number: signal.signal(number, receive) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop, received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
