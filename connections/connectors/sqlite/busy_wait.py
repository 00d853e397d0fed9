"""Waits for a SQLite file that is locked by another process, in short steps, so that the wait can be reported."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from connections.sdk.files import lock_holders
from connections.sdk.lock_waits import Wait

T = TypeVar("T")
# seconds for which a statement waits in total, and in each step
WAITS, _STEP = 30.0, 1.0
# bytes on which SQLite places its locks (https://www.sqlite.org/src/file/src/os.h): pending, reserved and shared in the
# database file; in WAL mode that of the writer in the -shm file
_PENDING, _SHARED, _LAST, _WAL_WRITER = 0x40000000, 0x40000002, 0x40000002 + 509, 120


def wait_for(connection: sqlite3.Connection, path: Path, execute: Callable[[], T]) -> T:
    """Return ``execute()``, which is repeated while the file is busy, for up to WAITS seconds.

    Only for statements without effect if they fail: BEGIN, COMMIT, and single statements outside a transaction.
    """
    deadline, wait = time.monotonic() + WAITS, Wait(lambda: describe(path))
    try:
        connection.execute(f"PRAGMA busy_timeout = {int(_STEP * 1000)}")
        while True:
            was_open = connection.in_transaction
            try:
                return execute()
            except sqlite3.OperationalError as error:
                if not is_busy(error) or connection.in_transaction != was_open or time.monotonic() > deadline:
                    raise
            wait.poll()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(WAITS * 1000)}")


def execute_by_adbc(cursor: Any, path: Path, sql: str) -> None:
    """Execute BEGIN or COMMIT on a cursor of ADBC, waiting as `wait_for` does."""
    deadline, wait = time.monotonic() + WAITS, Wait(lambda: describe(path))
    try:
        cursor.execute(f"PRAGMA busy_timeout = {int(_STEP * 1000)}")
        while True:
            try:
                cursor.execute(sql)
                return
            except Exception as error:
                if "locked" not in str(error).lower() or time.monotonic() > deadline:
                    raise
            wait.poll()
    finally:
        cursor.execute(f"PRAGMA busy_timeout = {int(WAITS * 1000)}")


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
