"""Tells at regular intervals how much has moved, and, when nothing has, whether the source is at work on it.

Who asked for the transfer judges by that; nothing is decided here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from connections.registry import connector
from connections.sdk.errors import ConnectionFailed, ConnectionLost, PipekitError
from connections.sdk.parameters import ConnectionParameters
from runs.jrunner.progress import Reporter

# so many reports fall into the silence that is borne; at the longest so many seconds lie between two
_REPORTS, _LONGEST = 5, 30.0


@contextmanager
def beating(reporter: Reporter, *, borne: float) -> Iterator[None]:
    """Report as long as the block lasts; ``borne`` seconds of silence are (0: any)."""
    over = threading.Event()
    every = min(borne / _REPORTS, _LONGEST) if borne else _LONGEST
    thread = threading.Thread(target=_beat, args=(reporter, over, every), name="pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def _beat(reporter: Reporter, over: threading.Event, every: float) -> None:
    before = None
    while not over.wait(every):
        moved = reporter.moved
        at_work = moved == before and reporter.at_work()
        before = moved
        if not over.is_set():
            reporter.pulse(at_work=at_work)


def answers(parameters: ConnectionParameters) -> bool:
    """Whether a system takes a new connection; one that cannot be asked from here is believed to."""
    try:
        connector(parameters.kind).connect(parameters).close()
    except (ConnectionFailed, ConnectionLost):
        return False
    except PipekitError:
        return True
    return True
