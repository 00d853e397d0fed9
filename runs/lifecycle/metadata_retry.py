"""Retries metadata operations while the database is locked or unavailable, where a failure would lose a result."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, IntegrityError, InterfaceError, connection

_T = TypeVar("_T")
# seconds; each attempt on SQLite waits for a lock for up to half a minute by itself
_TIMEOUT = 600.0
# seconds for which writing a result is retried; a result that was not written is found by the next tick
_FINISH_TIMEOUT = 120.0


def close_if_broken() -> None:
    """Close the metadata connection if an error has made it unusable, so that the next query opens a new one."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()


def retry_metadata(act: Callable[[], _T]) -> _T:
    """Return ``act()``, calling it again on database errors for up to ten minutes; IntegrityError is not retried."""
    deadline = time.monotonic() + _TIMEOUT
    while True:
        try:
            return act()
        except IntegrityError:
            raise
        except (DatabaseError, InterfaceError):
            if connection.in_atomic_block or time.monotonic() > deadline:
                raise
            connection.close()
            time.sleep(1)


def retry_finish(finish: Callable[[], object], *, log: Callable[[str], object]) -> Exception | None:
    """Call ``finish()`` again after database errors, for up to two minutes; return the last one if all calls failed."""
    deadline = time.monotonic() + _FINISH_TIMEOUT
    while True:
        try:
            finish()
            return None
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            if time.monotonic() > deadline:
                return error
            log(f"the metadata could not be written, retrying: {error}")
        time.sleep(1)
