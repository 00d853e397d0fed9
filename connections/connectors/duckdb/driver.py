"""Sessions for control SQL on DuckDB files. Only one process at a time can open a file for writing."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path, PurePath
from typing import Any

import duckdb

from connections.connectors.duckdb.dialect import DIALECT
from connections.connectors.duckdb.errors import from_duckdb, label
from connections.sdk import errors
from connections.sdk.files.file_check import check_file
from connections.sdk.files.private import private_umask
from connections.sdk.files.session import FileSession, check_exists
from connections.sdk.lock_wait_reports import Wait
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.sql.final_semicolon import ONE_QUERY
from connections.url.parse import parse_url

# queries must not access other files or the network, or install extensions
SAFETY: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
# seconds to wait for another process to close the file
_LOCK_WAIT = 30.0
# DuckDB's message about the process that has the file open
_HOLDER = re.compile(r"lock is held in (.+?) \(PID (\d+)\)")
_CLOSE = "Only one process at a time can write a DuckDB file: close it in other programs."
_CHECK_FILE = (
    "Check that the file and its directory are readable (and writable, for a destination) for this user, and that no"
    " other program has the file open."
)


def database_path(parameters: ConnectionParameters) -> str:
    """Return the path in the connection's URL."""
    return parse_url(parameters.url, kind="duckdb").path


def url_property(parameters: ConnectionParameters, name: str) -> str:
    """Return the property of the connection's URL, empty if it is not set."""
    return parse_url(parameters.url, kind="duckdb").properties.get(name, "")


class DuckdbSession(FileSession[duckdb.DuckDBPyConnection]):
    """A connection in autocommit mode. ``resources`` are released when it is closed.

    ``catalog`` is that of the file, also in a dry run, which does not create a missing file.
    """

    error_class = duckdb.Error
    begin = "BEGIN TRANSACTION"

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        *,
        name: str,
        catalog: str,
        resources: contextlib.ExitStack | None = None,
    ) -> None:
        super().__init__(connection, name=name)
        self.catalog = catalog
        self._resources = resources or contextlib.ExitStack()

    def fetch_read_only(self, query: str) -> tuple[Any, ...] | None:
        check_query(query, name=self.name)
        with self._translated():
            self.connection.execute("BEGIN TRANSACTION READ ONLY")
        try:
            row: tuple[Any, ...] | None = self.connection.execute(query).fetchone()
            return row
        except duckdb.TransactionException as error:
            raise errors.QueryInvalid(f"{label(self.name)} {error}", hint=ONE_QUERY) from error
        except duckdb.Error as error:
            raise from_duckdb(error, name=self.name) from error
        finally:
            self._roll_back()

    def close(self) -> None:
        with self._resources:
            super().close()

    def _row_count(self, sql: str, cursor: duckdb.DuckDBPyConnection) -> int:
        # INSERT, UPDATE and DELETE return one row with the number of rows
        counted = sql.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE") or "TRUNCATE" in sql[:20].upper()
        row = cursor.fetchone() if counted else None
        return int(row[0]) if row else -1

    def _translate(self, error: duckdb.Error) -> errors.PipekitError:
        return from_duckdb(error, name=self.name)


def check_query(text: str, *, name: str) -> None:
    """Raise QueryInvalid unless the text is a single query according to DuckDB's parser.

    DuckDB would execute all statements in the text.
    """
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise from_duckdb(error, name=name) from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise errors.QueryInvalid(f"{label(name)} This is not a single query.", hint=ONE_QUERY)


def connect(parameters: ConnectionParameters, *, read_only: bool = False) -> DuckdbSession:
    """Open the file of the connection, waiting up to half a minute for another process to close it.

    A missing file is created only with the connection's option ``create``, and not in a dry run. Raises Protected for
    a file of Pipekit itself.
    """
    path = Path(database_path(parameters)).absolute()
    check_file(path, parameters.protection, name=parameters.name)
    check_exists(path, label(parameters.name), create=parameters.create)
    with contextlib.ExitStack() as resources:
        # DuckDB creates all its files, including the WAL and spilled blocks, with the umask of the process
        resources.enter_context(private_umask())
        connection = _open(path, parameters, read_only=read_only or _is_read_only(parameters))
        resources.callback(connection.close)
        _set_limits(connection, parameters)
        # in a process that looks interactive, DuckDB would print a progress bar among the events
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        catalog = DIALECT.for_connection(parameters).catalog
        return DuckdbSession(connection, name=parameters.name, catalog=catalog, resources=resources.pop_all())


def _is_read_only(parameters: ConnectionParameters) -> bool:
    """Return whether the URL says so. A process opens a file in one mode only, so not if it is also written."""
    return not parameters.same_file and url_property(parameters, "access_mode").lower() == "read_only"


def _set_limits(connection: duckdb.DuckDBPyConnection, parameters: ConnectionParameters) -> None:
    """Set the limits in the URL. Raises UrlInvalid for one that DuckDB refuses."""
    for name in ("threads", "memory_limit"):
        if value := url_property(parameters, name):
            try:
                connection.execute(f"SET {name} = '{value}'")
            except duckdb.Error as error:
                raise errors.UrlInvalid(
                    f"{label(parameters.name)} The value of the property “{name}” is not valid.", hint=str(error)
                ) from error


def _open(path: Path, parameters: ConnectionParameters, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    if parameters.dry_run and not path.exists():
        return duckdb.connect(config=SAFETY)
    deadline, holder = time.monotonic() + _LOCK_WAIT, "another process"
    wait = Wait(lambda: f"waiting for {path}: {holder} has it open")
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only, config=SAFETY)
        except duckdb.Error as error:
            if "not a valid duckdb" in str(error).lower():
                raise errors.DatabaseMissing(
                    f"{label(parameters.name)} {path} is not a DuckDB database.",
                    hint="Check the path in the URL. A file of an older DuckDB must be exported and imported.",
                    detail=str(error),
                ) from error
            is_locked = "could not set lock" in str(error).lower()
            if match := _HOLDER.search(str(error)):
                holder = f"process {match[2]} ({PurePath(match[1]).name})"
            if not is_locked or time.monotonic() > deadline:
                reason = f": {holder} has had it open for {_LOCK_WAIT:g} seconds" if is_locked else ""
                raise errors.ConnectionFailed(
                    f"{label(parameters.name)} The file {path} cannot be opened{reason}.",
                    hint=_CLOSE if is_locked else _CHECK_FILE,
                    detail=str(error),
                ) from error
            wait.poll()
            time.sleep(0.1)
