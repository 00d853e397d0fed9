"""Waits for metadata that is locked or away just now, where giving up would leave something half done."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, IntegrityError, InterfaceError, connection

_T = TypeVar("_T")
# seconds; SQLite by itself waits for a lock for half a minute at each attempt
_ENOUGH = 600.0


def patiently(act: Callable[[], _T]) -> _T:
    """Return what ``act`` returns, calling it again while the metadata fails it; after ten minutes it may fail."""
    until = time.monotonic() + _ENOUGH
    while True:
        try:
            return act()
        except IntegrityError:
            raise
        except (DatabaseError, InterfaceError):
            if connection.in_atomic_block or time.monotonic() > until:
                raise
            connection.close()
            time.sleep(1)
