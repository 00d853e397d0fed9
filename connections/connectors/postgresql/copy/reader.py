"""Reads the rows of a PostgreSQL query as Arrow batches, from one COPY in a read-only session."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from connections.connectors.postgresql import driver
from connections.connectors.postgresql.introspection import describe_query, estimated_rows
from connections.sdk import errors
from connections.sdk.compiled import import_compiled
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import Column
from connections.sdk.sql.final_semicolon import without_final_semicolon
from connections.sdk.types import to_arrow

if TYPE_CHECKING:  # each is imported only when it is used
    from connections.connectors.postgresql.copy.adbc_rows import AdbcRows
    from connections.connectors.postgresql.copy.binary_rows import BinaryRows

# estimated number of values from which decoding them here takes less time, from the start of the process to its end
MANY_VALUES = 10_000
_COMPILED = [f"connections.connectors.postgresql.copy.{name}" for name in ("binary_decoder", "copy_stream")]


class PostgresqlReader:
    """Implements `Reader`."""

    def read(
        self, parameters: ConnectionParameters, query: str, columns: Sequence[Column], *, batch_bytes: int
    ) -> PostgresqlBatches:
        return PostgresqlBatches(parameters, query, tuple(columns), batch_bytes)


class PostgresqlBatches:
    """The batches of one query, which is executed when the iteration begins.

    ``close`` cancels the query; it may be called from another thread. ``method`` says how the rows are read, and why;
    it is empty before the first batch.
    """

    def __init__(
        self, parameters: ConnectionParameters, query: str, columns: tuple[Column, ...], batch_bytes: int
    ) -> None:
        self.parameters = parameters
        self.query = without_final_semicolon(query)
        self.columns = columns
        self.batch_bytes = batch_bytes
        self.schema = pa.schema([(column.dest_name, to_arrow(column.data_type)) for column in columns])
        self.rows = 0
        self.method = ""
        self._source: AdbcRows | BinaryRows | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        natives, is_pooled, values = self._describe()
        self._source = self._choose(natives, is_pooled, values)
        with contextlib.closing(self._source.read()) as batches:
            for batch in batches:
                self.rows += batch.num_rows
                yield pa.record_batch(batch.columns, schema=self.schema)

    def close(self) -> None:
        if source := self._source:
            source.close()

    def is_busy(self) -> bool:
        return self._source is not None and self._source.is_busy()

    def _describe(self) -> tuple[list[str], bool, int]:
        """Return the types of the query's columns, whether a pooler is between, and the estimated number of values."""
        session = driver.connect(self.parameters)
        try:
            columns = describe_query(session, self.query)
            if len(columns) != len(self.columns):
                raise errors.ColumnMissing(
                    f"The source query returns {len(columns)} columns, but the module has {len(self.columns)}.",
                    hint="Refresh the module's columns from its query.",
                )
            values = len(columns) * estimated_rows(session, self.query)
            return [column.native_type for column in columns], session.backend.pid is None, values
        finally:
            session.close()

    def _choose(self, natives: list[str], is_pooled: bool, values: int) -> AdbcRows | BinaryRows:
        """Return what reads the rows: libpq's connections have protections and logins that asyncpg's do not have."""
        if is_pooled:
            self.method = "ADBC, because there is a pooler between"
        elif values < MANY_VALUES:
            self.method = f"ADBC, because about {values:,} values are expected"
        elif not all(map(import_compiled, _COMPILED)):
            self.method = "ADBC, because the compiled decoder is missing"
        else:
            from connections.connectors.postgresql.copy.binary_rows import BinaryRows

            rows = BinaryRows(self.parameters, self.query, natives, self.columns, batch_bytes=self.batch_bytes)
            try:
                rows.open()
                self.method = f"binary COPY, because about {values:,} values are expected"
                return rows
            except errors.PipekitError as error:
                self.method = f"ADBC, because asyncpg did not connect: {error}"

        from connections.connectors.postgresql.copy.adbc_rows import AdbcRows

        return AdbcRows(
            self.parameters,
            self.query,
            natives,
            self.columns,
            batch_bytes=self.batch_bytes,
            is_pooled=is_pooled,
        )


READER = PostgresqlReader()
