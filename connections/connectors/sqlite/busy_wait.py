"""Waits for a SQLite file that is locked by another process, in short steps, so that the wait can be reported."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from connections.sdk.files import lock_holders
from connections.sdk.lock_wait_reports import Wait
from connections.sdk.parameters import ConnectionParameters
from connections.url.parse import parse_url

T = TypeVar("T")
# seconds for which a statement waits in total, unless the URL has a busy_timeout, and in each step
WAITS, _STEP = 30.0, 1.0
# bytes on which SQLite places its locks (https://www.sqlite.org/src/file/src/os.h): pending, reserved and shared in the
# database file; in WAL mode that of the writer in the -shm file
_PENDING, _SHARED, _LAST, _WAL_WRITER = 0x40000000, 0x40000002, 0x40000002 + 509, 120


def total(parameters: ConnectionParameters) -> float:
    """Return the seconds for which statements of a connection wait: busy_timeout in its URL, or WAITS."""
    milliseconds = parse_url(parameters.url, kind="sqlite").properties.get("busy_timeout")
    return WAITS if milliseconds is None else max(int(milliseconds), 0) / 1000


def wait_for(connection: sqlite3.Connection, path: Path, execute: Callable[[], T], *, total: float) -> T:
    """Return ``execute()``, which is repeated while the file is busy, for up to ``total`` seconds.

    Only for statements without effect if they fail: BEGIN, COMMIT, and single statements outside a transaction.
    """
    was_open = connection.in_transaction

    def may_repeat(error: Exception) -> bool:
        is_locked = isinstance(error, sqlite3.OperationalError) and is_busy(error)
        return is_locked and connection.in_transaction == was_open

    return _repeated(execute, path, total, pragma=connection.execute, may_repeat=may_repeat)


def execute_by_adbc(cursor: Any, path: Path, sql: str, *, total: float) -> None:
    """Execute BEGIN or COMMIT on a cursor of ADBC, waiting as `wait_for` does."""
    _repeated(
        lambda: cursor.execute(sql),
        path,
        total,
        pragma=cursor.execute,
        may_repeat=lambda error: "locked" in str(error).lower(),
    )


def _repeated(
    execute: Callable[[], T],
    path: Path,
    total: float,
    *,
    pragma: Callable[[str], object],
    may_repeat: Callable[[Exception], bool],
) -> T:
    """Return ``execute()``, repeated for up to ``total`` seconds after errors for which ``may_repeat`` returns true."""
    deadline, wait = time.monotonic() + total, Wait(lambda: describe(path))
    try:
        pragma(f"PRAGMA busy_timeout = {int(min(_STEP, total) * 1000)}")
        while True:
            try:
                return execute()
            except Exception as error:
                if not may_repeat(error) or time.monotonic() > deadline:
                    raise
            wait.poll()
    finally:
        pragma(f"PRAGMA busy_timeout = {int(total * 1000)}")


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether the error is SQLITE_BUSY: another connection has the lock."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) == sqlite3.SQLITE_BUSY


def describe(path: Path) -> str:
    """Return which processes lock the file, as a sentence without a full stop."""
    pids = lock_holders.holders(path, _PENDING, _LAST, mode="WRITE")
    pids += lock_holders.holders(Path(f"{path}-shm"), _WAL_WRITER, _WAL_WRITER, mode="WRITE")
    if pids:
        return f"waiting for {path}: {lock_holders.describe(pids)} is writing to it"
    # COMMIT waits for readers; not in WAL mode, in which every open connection has a shared lock
    if not Path(f"{path}-shm").exists() and (pids := lock_holders.holders(path, _SHARED, _LAST, mode="READ")):
        return f"waiting for {path}: {lock_holders.describe(pids)} is reading it"
    return f"waiting for {path}: another process is writing to it"
