"""What is to be said to the systems by a process that cannot wait for its sessions to end in good order.

A closed socket tells nothing to a server behind a dead wire: it would hold the session and its locks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_ends: list[Callable[[], object]] = []


@contextmanager
def ended_by(end: Callable[[], object]) -> Iterator[None]:
    """While the block lasts, ``end`` ends a session of it from elsewhere; it takes a few seconds at most."""
    _ends.append(end)
    try:
        yield
    finally:
        _ends.remove(end)


def end_all(*, seconds: float) -> None:
    """End every session that is still open, side by side, and wait for that so long at most."""
    threads = [threading.Thread(target=end, daemon=True) for end in list(_ends)]
    until = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
