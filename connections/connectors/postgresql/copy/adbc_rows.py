"""Reads the rows of a PostgreSQL query through ADBC: one COPY in a read-only session."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql
import pyarrow as pa
from psycopg.conninfo import make_conninfo

from connections.connectors.postgresql.copy import wire_values
from connections.connectors.postgresql.errors.connect import from_connect_exception
from connections.connectors.postgresql.errors.statement import connection_lost, from_server, label
from connections.connectors.postgresql.own_metadata import (
    IS_METADATA,
    SERVER_DATABASE,
    UNIDENTIFIED,
    check_metadata,
    check_server_database,
)
from connections.connectors.postgresql.session import clear_text
from connections.connectors.postgresql.session.backend_status import IDENTITY, Backend
from connections.connectors.postgresql.session.settings import (
    address,
    libpq_settings,
    no_progress_timeout,
    session_options,
)
from connections.sdk import errors, session_cleanup
from connections.sdk.arrow import adbc
from connections.sdk.arrow.batches import rebatch
from connections.sdk.arrow.convert import convert_exactly
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import Column

# status codes of ADBC for a broken connection
_IO = (adbc_driver_manager.AdbcStatusCode.IO, adbc_driver_manager.AdbcStatusCode.TIMEOUT)
_READ_ONLY = " -c default_transaction_read_only=on -c default_transaction_isolation=repeatable\\ read"


class AdbcRows:
    """The rows of a query whose columns have the types ``natives``.

    ``close`` cancels the query; it may be called from another thread. ``is_pooled``: a pooler may pass each statement
    to another process of the server.
    """

    def __init__(
        self,
        parameters: ConnectionParameters,
        query: str,
        natives: Sequence[str],
        columns: Sequence[Column],
        *,
        batch_bytes: int,
        is_pooled: bool = False,
    ) -> None:
        self.parameters = parameters
        self.query = query
        self.natives = natives
        self.columns = columns
        self.batch_bytes = batch_bytes
        self.is_pooled = is_pooled
        self._stop: Callable[[], object] | None = None
        self._backend: Backend | None = None

    def read(self) -> Generator[pa.RecordBatch, None, None]:
        """Yield the rows in the Arrow types of the columns. Raises InvalidValue for a value that these do not hold."""
        with contextlib.closing(self._repaired()) as rows:
            for raw in rebatch(rows, self.batch_bytes):
                arrays = [convert_exactly(raw.column(i), column) for i, column in enumerate(self.columns)]
                yield pa.record_batch(arrays, names=[column.dest_name for column in self.columns])

    def _repaired(self) -> Generator[pa.RecordBatch, None, None]:
        sent = wire_values.sent_types(self.natives, self.columns)
        with self.opened() as cursor:
            for raw in self._stream(cursor, wire_values.wrapped(self.query, self.natives, sent)):
                arrays = [wire_values.repaired(raw.column(i), column) for i, column in enumerate(self.columns)]
                yield pa.record_batch(arrays, names=raw.schema.names)

    def close(self) -> None:
        if stop := self._stop:
            with contextlib.suppress(adbc_driver_manager.Error):
                stop()

    def is_busy(self) -> bool:
        return self._backend is not None and self._backend.is_busy()

    @contextlib.contextmanager
    def opened(self) -> Iterator[adbc.Cursor]:
        """Yield the cursor of a new session."""
        keywords = libpq_settings(self.parameters)
        if keywords.get("target_session_attrs") == "read-write":
            # the session itself is read-only
            keywords["target_session_attrs"] = "primary"
        options = session_options(self.parameters) + _READ_ONLY

        def connect(given: dict[str, Any]) -> adbc.Cursor:
            uri = make_conninfo(**given, options=options, client_encoding="UTF8")
            return adbc.Cursor(adbc_driver_postgresql.connect(uri))

        try:
            opened = clear_text.opened(keywords, connect, adbc_driver_manager.Error)
        except adbc_driver_manager.Error as error:
            raise from_connect_exception(error, name=self.parameters.name, address=address(keywords)) from None
        with opened as cursor:
            self._check_metadata(cursor)
            self._backend = self._identify(cursor, keywords)
            self._stop = cursor.cancel
            try:
                with session_cleanup.terminated_by(self._backend.terminate):
                    yield cursor
            finally:
                self._stop = None

    def _check_metadata(self, cursor: adbc.Cursor) -> None:
        """Raise Protected when the connection leads to Pipekit's metadata.

        Checked again, because it may lead to another server than the session that described the query.
        """
        check_metadata(self._fetch_row(cursor, IS_METADATA), self.parameters)
        if not self.parameters.protection.databases:
            return
        try:
            row = self._fetch_row(cursor, SERVER_DATABASE)
        except UNIDENTIFIED:
            return
        check_server_database(row, self.parameters)

    def _fetch_row(self, cursor: adbc.Cursor, sql: str) -> Any:
        try:
            cursor.execute(sql)
            return cursor.fetchone()
        except (adbc_driver_manager.Error, OSError) as error:
            raise translated(error, name=self.parameters.name) from None

    def _identify(self, cursor: adbc.Cursor, keywords: dict[str, str]) -> Backend:
        row = None
        if not self.is_pooled:
            with contextlib.suppress(adbc_driver_manager.Error):
                cursor.execute(IDENTITY)
                row = cursor.fetchone()
        return Backend.of(keywords, row, no_progress_timeout=no_progress_timeout(self.parameters))

    def _stream(self, cursor: adbc.Cursor, text: str) -> Iterator[pa.RecordBatch]:
        try:
            cursor.set_options(**{"adbc.postgresql.batch_size_hint_bytes": self.batch_bytes // 4})
            cursor.execute(text)
            yield from cursor.reader
        except (adbc_driver_manager.Error, OSError, pa.ArrowException) as error:
            raise translated(error, name=self.parameters.name) from None


def translated(error: Exception, *, name: str) -> errors.PipekitError:
    """Return Pipekit's error for one of ADBC's or Arrow's, by its SQLSTATE if it has one."""
    if from_report := from_server(error, name=name):
        return from_report
    if isinstance(error, OSError) or getattr(error, "status_code", None) in _IO:
        return connection_lost(str(error), name=name)
    return errors.InternalError(
        f"{label(name)} The rows could not be read: {error}",
        hint="This is a bug in Pipekit; please report it.",
        detail=repr(error),
    )
