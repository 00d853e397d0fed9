"""Terminates sessions at the servers when a process must exit without closing them.

Exiting closes the sockets, but a server does not notice this when the network path of the session is broken, and would
keep the session and its locks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_callbacks: list[Callable[[], object]] = []


@contextmanager
def terminated_by(terminate: Callable[[], object]) -> Iterator[None]:
    """Register ``terminate`` for `terminate_all` for the duration of the block.

    It terminates the block's session over another connection, and must return within a few seconds.
    """
    _callbacks.append(terminate)
    try:
        yield
    finally:
        _callbacks.remove(terminate)


def terminate_all(*, seconds: float) -> None:
    """Terminate all registered sessions in parallel; return after ``seconds`` even if some have not ended."""
    threads = [threading.Thread(target=callback, daemon=True) for callback in list(_callbacks)]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
