"""The tick in a loop, on the minute, for machines without cron. A tick that fails is told and does not end it."""

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

from scheduling.tick import lock, tick

_log = logging.getLogger(__name__)


def loop(told: Callable[[str], object]) -> signal.Signals:
    """Tick until SIGTERM or SIGINT; return which. The tick that is at work is finished first."""
    with _stopping() as (stop, received):
        while not stop.is_set():
            _tick(told)
            _collect_orphans()
            stop.wait(_until_next_minute(timezone.now()))
    return received[0]


def _tick(told: Callable[[str], object]) -> None:
    now = timezone.now()
    close_old_connections()
    try:
        report = tick.tick_alone(now)
    except lock.TickHangs as error:
        told(f"{now:%H:%M:%S} {error.message} {error.hint}")
        return
    except Exception:
        _log.exception("The tick failed; the next one will do its work.")
        return
    finally:
        close_old_connections()
    if report is None:
        told(f"{now:%H:%M:%S} another tick is at work")
        return
    for line in [*report.troubles(), *(f"{name}: started" for name in report.started)]:
        told(f"{now:%H:%M:%S} {line}")


def _collect_orphans() -> None:
    """Let ended processes go that were left to this one: to the first of a container, all runs are.

    Between two ticks this process waits for no child of its own.
    """
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _until_next_minute(now: dt.datetime) -> float:
    """A moment after the full minute, so that its slot is due."""
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
