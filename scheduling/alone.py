"""Keeps two ticks of one install from working at once. Only a courtesy: slots fire once without it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings


@contextmanager
def only_tick() -> Iterator[bool]:
    """Yield whether this process is the one that ticks; the kernel lets go of the lock when it dies."""
    with (Path(settings.PIPEKIT.data_dir) / "tick.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
