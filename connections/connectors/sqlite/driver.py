"""Sessions for control SQL on SQLite files, with the sqlite3 module."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from connections.connectors.sqlite import busy_wait
from connections.connectors.sqlite.errors import from_sqlite3, label
from connections.sdk import errors
from connections.sdk.files.file_check import check_file
from connections.sdk.files.private import create_private
from connections.sdk.files.protection import METADATA_TABLES, refused_database
from connections.sdk.files.session import FileSession, check_exists
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.sql.final_semicolon import ONE_QUERY
from connections.url.parse import parse_url

T = TypeVar("T")
# executed on each new connection; it also detects copies and backups of the metadata
IS_METADATA = (
    f"SELECT count(*) = {len(METADATA_TABLES)} FROM sqlite_master"
    f" WHERE type = 'table' AND name IN ({', '.join(map(repr, METADATA_TABLES))})"
)
_NAMELESS = ("", ":memory:")
_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})


def database_path(parameters: ConnectionParameters) -> str:
    """Return the path in the connection's URL."""
    return parse_url(parameters.url, kind="sqlite").path


def checked_path(parameters: ConnectionParameters) -> Path:
    """Return the absolute path of the file. Raises Protected for a file of Pipekit itself."""
    path = Path(database_path(parameters)).absolute()
    check_file(path, parameters.protection, name=parameters.name)
    return path


def created_path(parameters: ConnectionParameters) -> Path:
    """Return the path as `checked_path` does; create the file when it is missing and the option ``create`` is set.

    In a dry run it is not created. Raises what `check_exists` raises when it is missing and the option is not set, or
    it cannot be created.
    """
    path = checked_path(parameters)
    check_exists(path, label(parameters.name), create=parameters.create)
    if parameters.create and not parameters.dry_run:
        create_private(path)
    return path


class SqliteSession(FileSession[sqlite3.Connection]):
    """A connection in autocommit mode. Transactions take the write lock at their start, so they cannot fail later."""

    error_class = sqlite3.Error
    begin = "BEGIN IMMEDIATE"

    def __init__(self, connection: sqlite3.Connection, *, name: str, path: Path, waits: float) -> None:
        super().__init__(connection, name=name)
        self.path = path
        # seconds to wait for other processes
        self.waits = waits

    def fetch_read_only(self, query: str) -> tuple[Any, ...] | None:
        with self._translated():
            self.connection.execute("PRAGMA query_only = ON")
        try:
            with self._translated():
                return self._wait_for(lambda: self._first_row(query))
        finally:
            with self._translated():
                self.connection.execute("PRAGMA query_only = OFF")

    def _first_row(self, query: str) -> tuple[Any, ...] | None:
        self.connection.set_authorizer(_authorize_reading)
        try:
            row: tuple[Any, ...] | None = self.connection.execute(query).fetchone()
            return row
        except (sqlite3.Error, sqlite3.Warning) as error:
            # up to Python 3.11 a second statement raises Warning
            if "one statement" in str(error) or "not authorized" in str(error):
                raise errors.QueryInvalid(f"{label(self.name)} {error}", hint=ONE_QUERY) from error
            raise
        finally:
            # restore the authorizer set by `connect`
            self.connection.set_authorizer(_authorize)

    def _row_count(self, sql: str, cursor: sqlite3.Cursor) -> int:
        return cursor.rowcount

    def _translate(self, error: sqlite3.Error) -> errors.PipekitError:
        return from_sqlite3(error, name=self.name, path=self.path)

    def _wait_for(self, execute: Callable[[], T]) -> T:
        # inside a transaction a failed statement may have had effects, so it cannot be repeated
        if self.connection.in_transaction:
            return execute()
        return busy_wait.wait_for(self.connection, self.path, execute, total=self.waits)

    def _commit(self) -> None:
        # a COMMIT that found the file busy had no effect
        busy_wait.wait_for(self.connection, self.path, lambda: self.connection.execute("COMMIT"), total=self.waits)

    def _roll_back(self) -> None:
        # SQLite may have rolled back already, for example when the disk is full
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")


def _authorize_reading(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    """Authorizer that allows only reading rows and calling functions."""
    loads_extension = action == sqlite3.SQLITE_FUNCTION and second == "load_extension"
    return sqlite3.SQLITE_OK if action in _READING and not loads_extension else sqlite3.SQLITE_DENY


def connect(parameters: ConnectionParameters) -> SqliteSession:
    """Open the file of the connection. A missing one is created only with the option ``create``, and not in a dry run.

    Raises Protected for a file of Pipekit itself. SQL of the session cannot access other files.
    """
    path, waits = created_path(parameters), busy_wait.total(parameters)
    with contextlib.ExitStack() as opened:
        try:
            if parameters.dry_run and not path.exists():
                connection = sqlite3.connect(":memory:", isolation_level=None)
            else:
                connection = _open(path, waits)
            opened.callback(connection.close)
            connection.set_authorizer(_authorize)
            # some builds of SQLite enforce foreign keys by default
            connection.execute("PRAGMA foreign_keys = OFF")
            is_metadata = busy_wait.wait_for(
                connection, path, lambda: connection.execute(IS_METADATA).fetchone()[0], total=waits
            )
        except sqlite3.Error as error:
            translated = from_sqlite3(error, name=parameters.name)
            if isinstance(translated, errors.DatabaseMissing):
                raise translated from error
            raise _connection_failed(parameters, path, error) from error
        if is_metadata:
            raise refused_database(parameters.name)
        opened.pop_all()
        return SqliteSession(connection, name=parameters.name, path=path, waits=waits)


def _authorize(action: int, first: str | None, *_: str | None) -> int:
    """Authorizer that denies ATTACH and VACUUM INTO, but not the temporary database without name that VACUUM uses."""
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH and first not in _NAMELESS else sqlite3.SQLITE_OK


def _open(path: Path, waits: float) -> sqlite3.Connection:
    try:
        return sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, isolation_level=None, timeout=waits)
    except sqlite3.OperationalError:
        # a source file may be read-only
        return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None, timeout=waits)


def _connection_failed(parameters: ConnectionParameters, path: Path, error: sqlite3.Error) -> errors.PipekitError:
    reason = f"{error}; {busy_wait.describe(path)}" if busy_wait.is_busy(error) else f"{error}"
    return errors.ConnectionFailed(
        f"{label(parameters.name)} The file {path} cannot be opened: {reason}.",
        hint="Check that the file and its directory are readable (and writable, for a destination) for this user.",
    )
