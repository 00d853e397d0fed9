"""Waits for a SQLite file that another process locks, step by step, so that the wait can be reported while it lasts."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from connections.sdk.files import lock_holders
from connections.sdk.lock_waits import Wait

T = TypeVar("T")
# seconds for which a statement waits in all, and in each step
WAITS, _STEP = 30.0, 1.0
# where SQLite's locks are (https://www.sqlite.org/src/file/src/os.h): the pending, the reserved and the shared bytes of
# the file; in WAL mode the byte of the writer in the -shm file
_PENDING, _SHARED, _LAST, _WAL_WRITER = 0x40000000, 0x40000002, 0x40000002 + 509, 120


def patiently(connection: sqlite3.Connection, path: Path, act: Callable[[], T]) -> T:
    """Do what ``act`` does, waiting for others. Only for what has no effect when it fails: BEGIN, COMMIT, one query."""
    until, wait = time.monotonic() + WAITS, Wait(lambda: described(path))
    try:
        connection.execute(f"PRAGMA busy_timeout = {int(_STEP * 1000)}")
        while True:
            was_open = connection.in_transaction
            try:
                return act()
            except sqlite3.OperationalError as error:
                if not is_busy(error) or connection.in_transaction != was_open or time.monotonic() > until:
                    raise
            wait.poll()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(WAITS * 1000)}")


def patiently_by_adbc(cursor: Any, path: Path, sql: str) -> None:
    """Execute BEGIN or COMMIT as `patiently` does, over ADBC's binding."""
    until, wait = time.monotonic() + WAITS, Wait(lambda: described(path))
    try:
        cursor.execute(f"PRAGMA busy_timeout = {int(_STEP * 1000)}")
        while True:
            try:
                cursor.execute(sql)
                return
            except Exception as error:
                if "locked" not in str(error).lower() or time.monotonic() > until:
                    raise
            wait.poll()
    finally:
        cursor.execute(f"PRAGMA busy_timeout = {int(WAITS * 1000)}")


def is_busy(error: sqlite3.Error) -> bool:
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) == sqlite3.SQLITE_BUSY


def described(path: Path) -> str:
    """Return what holds the file up, as one sentence without a full stop."""
    pids = lock_holders.holders(path, _PENDING, _LAST, mode="WRITE")
    pids += lock_holders.holders(Path(f"{path}-shm"), _WAL_WRITER, _WAL_WRITER, mode="WRITE")
    if pids:
        return f"waiting for {path}: {lock_holders.describe(pids)} is writing to it"
    # a commit waits for those that read, except in WAL mode, where each open file has such a lock
    if not Path(f"{path}-shm").exists() and (pids := lock_holders.holders(path, _SHARED, _LAST, mode="READ")):
        return f"waiting for {path}: {lock_holders.describe(pids)} is reading it"
    return f"waiting for {path}: another process is writing to it"
