"""Writes Arrow batches to a DuckDB table with one INSERT from a stream, in one transaction and constant memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa

from connections.connectors.duckdb import driver, memory
from connections.connectors.duckdb.dialect import DIALECT
from connections.connectors.duckdb.native_texts import NativeTexts
from connections.sdk.arrow import compute as pc
from connections.sdk.arrow.invalid_values import first_value, invalid_value
from connections.sdk.protocols import Batches, WriteTarget
from connections.sdk.row_counts import check_counts
from connections.sdk.schema import Column
from connections.sdk.types import Kind

_STREAM = "pipekit_stream"
# resolution of the coarser timestamp types in microseconds, to which a cast would round
_UNITS = {"timestamp_s": 1_000_000, "timestamp_ms": 1_000}
# number of batches kept, among which an error of DuckDB has its cause
_KEPT_BATCHES = 2
# average bytes per row above which the memory limit is raised
_LARGE_ROW = 1_000_000


class DuckdbWriter:
    """Implements `Writer`."""

    works_here = True

    def write(self, target: WriteTarget, batches: Batches) -> int:
        parameters = target.parameters
        session = driver.connect(parameters)
        try:
            size = memory.needed(len(target.columns))
            memory.set_limit(session, parameters, size)
            with session.transaction():
                if target.claim:
                    target.claim.check(session.fetch(target.claim.sql))
                if target.clear:
                    session.execute(DIALECT.for_connection(parameters).empty_table(target.table))
                limit = _MemoryLimit(session, size, fixed=bool(memory.configured_limit(parameters)))
                table = DIALECT.for_connection(parameters).qualified(target.table)
                written = _Insert(table, target.columns, batches, limit).execute(session)
                check_counts(batches.rows, written)
            return written
        finally:
            session.close()


class _MemoryLimit:
    """DuckDB's memory limit, which is raised for batches of huge values unless it is ``fixed`` by the user."""

    def __init__(self, session: driver.DuckdbSession, size: int, *, fixed: bool) -> None:
        # a cursor, because the session itself is executing the INSERT
        self._connection = session.connection.cursor()
        self._size = size
        self._fixed = fixed

    def raise_for(self, batch: pa.RecordBatch) -> None:
        """Raise the limit if the batch needs more memory."""
        needed = memory.for_batch(batch.nbytes)
        if needed > self._size and batch.num_rows * _LARGE_ROW < batch.nbytes and not self._fixed:
            self._size = needed
            self._connection.execute(f"SET memory_limit = '{needed}B'")


class _Insert:
    """One INSERT from a stream of batches."""

    def __init__(self, target: str, columns: Sequence[Column], batches: Batches, limit: _MemoryLimit) -> None:
        self.target = target
        self.columns = columns
        self.batches = batches
        # generated names, because the destination's could be invalid in the stream
        self.names = [f"c{position}" for position in range(len(columns))]
        self.latest: deque[pa.RecordBatch] = deque(maxlen=_KEPT_BATCHES)
        self.error: BaseException | None = None
        self.texts = NativeTexts()
        self.limit = limit

    def execute(self, session: driver.DuckdbSession) -> int:
        """Execute the INSERT. Return the number of rows as counted by DuckDB."""
        schema = pa.schema([(name, field.type) for name, field in zip(self.names, self.batches.schema, strict=True)])
        session.connection.register(_STREAM, pa.RecordBatchReader.from_batches(schema, self._stream(schema)))
        try:
            rows = session.connection.execute(self._statement()).fetchone()
        except duckdb.Error as error:
            if self.error:
                # an error of the source, not of DuckDB
                raise self.error from None
            self._raise_with_value(session.connection, error)
            raise
        finally:
            self.texts.close()
        return int(rows[0]) if rows else 0

    def _statement(self) -> str:
        names = DIALECT.columns([column.dest_name for column in self.columns])
        casts = zip(self.names, self.columns, strict=True)
        values = ", ".join(_cast(name, column) for name, column in casts)
        return f"INSERT INTO {self.target} ({names}) SELECT {values} FROM {_STREAM}"

    def _stream(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self.batches:
                for position, column in enumerate(self.columns):
                    _check_unit(batch.column(position), column)
                    if column.data_type.kind is Kind.NATIVE:
                        self.texts.check(batch.column(position), column)
                self.limit.raise_for(batch)
                renamed = pa.record_batch(batch.columns, schema=schema)
                self.latest.append(renamed)
                yield renamed
        except BaseException as error:
            # DuckDB passes on only the text of an exception
            self.error = error
            raise

    def _raise_with_value(self, connection: duckdb.DuckDBPyConnection, error: duckdb.Error) -> None:
        """Raise InvalidValue for the first value that cannot be cast.

        Uses a new cursor, because the failed transaction executes no more statements.
        """
        if not isinstance(
            error, duckdb.ConversionException | duckdb.OutOfRangeException | duckdb.InvalidInputException
        ):
            return
        with connection.cursor() as cursor:
            cursor.register(_STREAM, pa.Table.from_batches(list(self.latest)))
            for name, column in zip(self.names, self.columns, strict=True):
                row = cursor.execute(
                    f"SELECT CAST({name} AS VARCHAR) FROM {_STREAM} "
                    f"WHERE {name} IS NOT NULL AND TRY_CAST({name} AS {column.dest_type}) IS NULL LIMIT 1"
                ).fetchone()
                if row:
                    raise invalid_value(column, row[0], detail=str(error)) from None


def _cast(name: str, column: Column) -> str:
    cast = f"CAST({name} AS {column.dest_type})"
    # a cast of NULL to a UNION is not NULL, but has a member that is NULL
    return f"CASE WHEN {name} IS NOT NULL THEN {cast} END" if column.data_type.kind is Kind.NATIVE else cast


def _check_unit(array: pa.Array, column: Column) -> None:
    unit = _UNITS.get(column.dest_type.strip().lower())
    if unit is None:
        return
    count = array.cast(pa.int64())
    has_remainder = pc.not_equal(pc.multiply(pc.divide(count, unit), unit), count)
    if pc.any(has_remainder).as_py():
        raise invalid_value(
            column, first_value(array.filter(has_remainder)), why=f"has more digits than {column.dest_type}"
        )


WRITER = DuckdbWriter()
