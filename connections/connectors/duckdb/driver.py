"""Opens DuckDB files for control SQL. One process may write a file at a time: open late, close early."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

import duckdb

from connections.sdk import errors
from connections.sdk.files.private import private_umask
from connections.sdk.files.protected import check_file
from connections.sdk.lock_waits import Wait
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.sql.statement import ONE_QUERY
from connections.url import jdbc

# a query must not reach other files, the network or code that was not shipped
SAFETY: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_LOCK_WAIT = 30.0
# how DuckDB names the process that has the file open
_HOLDER = re.compile(r"lock is held in (.+?) \(PID (\d+)\)")


def database_path(parameters: ConnectionParameters) -> str:
    """Return the file of the connection's URL."""
    return jdbc.parse(parameters.url, kind="duckdb").path


class DuckdbSession:
    """One connection in autocommit mode."""

    server_version = 0

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, *, name: str, held: contextlib.ExitStack | None = None
    ) -> None:
        self.connection = connection
        self.name = name
        # until it is closed
        self._held = held or contextlib.ExitStack()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        with self._translated():
            result = self.connection.execute(sql, list(parameters))
            # INSERT, UPDATE and DELETE answer with one row, their count
            counted = sql.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE") or "TRUNCATE" in sql[:20].upper()
            row = result.fetchone() if counted else None
            return int(row[0]) if row else -1

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._translated():
            return self.connection.execute(sql, list(parameters)).fetchall()

    def fetch_read_only(self, query: str) -> tuple[Any, ...] | None:
        check_query(query, name=self.name)
        with self._translated():
            self.connection.execute("BEGIN TRANSACTION READ ONLY")
        try:
            found: tuple[Any, ...] | None = self.connection.execute(query).fetchone()
            return found
        except duckdb.TransactionException as error:
            raise errors.QueryInvalid(f"{self.name or 'DuckDB'}: {error}", hint=ONE_QUERY) from error
        except duckdb.Error as error:
            raise translate(error, name=self.name) from error
        finally:
            with contextlib.suppress(duckdb.Error):
                self.connection.execute("ROLLBACK")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._translated():
            self.connection.execute("BEGIN TRANSACTION")
            try:
                yield
            except BaseException:
                with contextlib.suppress(duckdb.Error):
                    self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")

    def cancel(self) -> None:
        self.connection.interrupt()

    def close(self) -> None:
        with self._held, contextlib.suppress(duckdb.Error):
            self.connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise translate(error, name=self.name) from error


def check_query(text: str, *, name: str) -> None:
    """Raise QueryInvalid unless the text is one query by DuckDB's own parser: it executes all statements it gets."""
    try:
        found = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise translate(error, name=name) from error
    if len(found) != 1 or found[0].type != duckdb.StatementType.SELECT:
        raise errors.QueryInvalid(f"{name or 'DuckDB'}: This is not one query.", hint=ONE_QUERY)


def translate(error: duckdb.Error, *, name: str) -> errors.PipekitError:
    """Return Pipekit's error for one of DuckDB's."""
    text = f"{name or 'DuckDB'}: {error}"
    low = str(error).lower()
    if isinstance(error, duckdb.CatalogException):
        return errors.TableMissing(text, hint="Check schema and table.")
    if isinstance(error, duckdb.BinderException) and "column" in low:
        return errors.ColumnMissing(text, hint="Check the column's spelling against the table.")
    if isinstance(error, duckdb.ConversionException | duckdb.OutOfRangeException | duckdb.ConstraintException):
        return errors.ValueMisfit(text, hint="Change the destination column's type, or clean the value in the query.")
    if isinstance(error, duckdb.TransactionException):
        return errors.SerializationFailed(text, hint="Another transaction came first; run it again.")
    if isinstance(error, duckdb.InterruptException):
        return errors.Cancelled(text)
    if isinstance(error, duckdb.IOException):
        return errors.ConnectionFailed(text, hint="Check the file and its disk.")
    if "ambiguous reference to catalog" in low:
        return errors.QueryInvalid(text, hint="The file has the schema's name: write file.schema.table in the query.")
    return errors.QueryInvalid(text, hint="Correct the SQL; its text is on the run.")


def connect(parameters: ConnectionParameters, *, read_only: bool = False) -> DuckdbSession:
    """Open the file, waiting up to half a minute for another process to close it.

    A missing file is created only when the connection's option ``create`` says so. Raises Protected when it is
    Pipekit's own.
    """
    path = Path(database_path(parameters)).absolute()
    check_file(path, parameters.protection, name=parameters.name)
    if not path.exists() and not parameters.options.get("create"):
        raise errors.DatabaseMissing(
            f"{parameters.name or 'DuckDB'}: There is no file {path}.",
            hint='Check the path in the URL; to let a destination file be created, set the option "create": true.',
        )
    with contextlib.ExitStack() as held:
        # DuckDB makes its files, the WAL and spilled blocks included, as the process's umask says
        held.enter_context(private_umask())
        connection = _opened(path, parameters, read_only=read_only)
        held.callback(connection.close)
        connection.execute("SET TimeZone = 'UTC'")
        return DuckdbSession(connection, name=parameters.name, held=held.pop_all())


def _opened(path: Path, parameters: ConnectionParameters, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    deadline, holder = time.monotonic() + _LOCK_WAIT, "another process"
    wait = Wait(lambda: f"waiting for {path}: {holder} has it open")
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only, config=SAFETY)
        except duckdb.Error as error:
            if "not a valid duckdb" in str(error).lower():
                raise errors.DatabaseMissing(
                    f"{parameters.name or 'DuckDB'}: {path} is no DuckDB database.",
                    hint="Check the path in the URL; a file of an older DuckDB is exported and imported first.",
                    detail=str(error),
                ) from error
            is_held = "could not set lock" in str(error).lower()
            if found := _HOLDER.search(str(error)):
                holder = f"process {found[2]} ({PurePath(found[1]).name})"
            if not is_held or time.monotonic() > deadline:
                why = f": {holder} has had it open for {_LOCK_WAIT:g} seconds" if is_held else ""
                raise errors.ConnectionFailed(
                    f"{parameters.name or 'DuckDB'}: The file {path} cannot be opened{why}.",
                    hint="Only one process may write a DuckDB file at a time: does another program hold it open?",
                    detail=str(error),
                ) from error
            wait.poll()
            time.sleep(0.1)
