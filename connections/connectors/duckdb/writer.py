"""Writes Arrow batches into a DuckDB table: one INSERT from a stream, in one transaction, so that memory stays flat."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from connections.connectors.duckdb import driver, memory
from connections.connectors.duckdb.dialect import DIALECT
from connections.connectors.duckdb.native_texts import NativeTexts
from connections.sdk.arrow.counts import check_counts
from connections.sdk.arrow.invalid_values import first_value, misfit
from connections.sdk.claim import Claim
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Batches
from connections.sdk.schema import Column, TableName
from connections.sdk.sql.types import Kind

_STREAM = "pipekit_stream"
# microseconds that one unit of the coarser timestamps has; a cast would round to it
_UNITS = {"timestamp_s": 1_000_000, "timestamp_ms": 1_000}
# the batch that DuckDB complains of is one of the last it took
_REMEMBERED = 2
# bytes of a row beyond which a batch counts as one of huge values
_LARGE = 1_000_000


class DuckdbWriter:
    works_here = True

    def write(
        self,
        parameters: ConnectionParameters,
        table: TableName,
        columns: Sequence[Column],
        batches: Batches,
        *,
        clear: bool = False,
        claim: Claim | None = None,
    ) -> int:
        session = driver.connect(parameters)
        try:
            size = memory.needed(len(columns))
            memory.bounded(session, parameters, size)
            with session.transaction():
                if claim:
                    claim.check(session.fetch(claim.sql))
                if clear:
                    session.execute(DIALECT.for_connection(parameters).empty_table(table))
                room = _Room(session, size, fixed=bool(memory.given(parameters)))
                written = _Insert(DIALECT.for_connection(parameters).qualified(table), columns, batches, room).into(
                    session
                )
                check_counts(batches.rows, written)
            return written
        finally:
            session.close()


class _Room:
    """DuckDB's memory limit, raised (unless ``fixed`` by the user) for a batch that is large: one of huge values."""

    def __init__(self, session: driver.DuckdbSession, size: int, *, fixed: bool) -> None:
        # the session itself is busy with the insert
        self._connection = session.connection.cursor()
        self._size = size
        self._fixed = fixed

    def make(self, batch: pa.RecordBatch) -> None:
        needed = memory.for_batch(batch.nbytes)
        if needed > self._size and batch.num_rows * _LARGE < batch.nbytes and not self._fixed:
            self._size = needed
            self._connection.execute(f"SET memory_limit = '{needed}B'")


class _Insert:
    def __init__(self, target: str, columns: Sequence[Column], batches: Batches, room: _Room) -> None:
        self.target = target
        self.columns = columns
        self.batches = batches
        # positions as names: the destination's could be anything
        self.names = [f"c{position}" for position in range(len(columns))]
        self.taken: deque[pa.RecordBatch] = deque(maxlen=_REMEMBERED)
        self.error: BaseException | None = None
        self.texts = NativeTexts()
        self.room = room

    def into(self, session: driver.DuckdbSession) -> int:
        schema = pa.schema([(name, field.type) for name, field in zip(self.names, self.batches.schema, strict=True)])
        session.connection.register(_STREAM, pa.RecordBatchReader.from_batches(schema, self._stream(schema)))
        try:
            rows = session.connection.execute(self._statement()).fetchone()
        except duckdb.Error as error:
            if self.error:
                # what our own side raised while DuckDB was reading
                raise self.error from None
            self._explain(session.connection, error)
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
                self.room.make(batch)
                named = pa.record_batch(batch.columns, schema=schema)
                self.taken.append(named)
                yield named
        except BaseException as error:
            # through DuckDB only its text would come back
            self.error = error
            raise

    def _explain(self, connection: duckdb.DuckDBPyConnection, error: duckdb.Error) -> None:
        """Raise ValueMisfit for the first value that does not cast; the failed transaction itself answers no more."""
        if not isinstance(
            error, duckdb.ConversionException | duckdb.OutOfRangeException | duckdb.InvalidInputException
        ):
            return
        with connection.cursor() as cursor:
            cursor.register(_STREAM, pa.Table.from_batches(list(self.taken)))
            for name, column in zip(self.names, self.columns, strict=True):
                found = cursor.execute(
                    f"SELECT CAST({name} AS VARCHAR) FROM {_STREAM} "
                    f"WHERE {name} IS NOT NULL AND TRY_CAST({name} AS {column.dest_type}) IS NULL LIMIT 1"
                ).fetchone()
                if found:
                    raise misfit(column, found[0], detail=str(error)) from None


def _cast(name: str, column: Column) -> str:
    cast = f"CAST({name} AS {column.dest_type})"
    # a UNION made of NULL is a member that is NULL
    return f"CASE WHEN {name} IS NOT NULL THEN {cast} END" if column.data_type.kind is Kind.NATIVE else cast


def _check_unit(array: pa.Array, column: Column) -> None:
    unit = _UNITS.get(column.dest_type.strip().lower())
    if unit is None:
        return
    count = array.cast(pa.int64())
    odd = pc.not_equal(pc.multiply(pc.divide(count, unit), unit), count)
    if pc.any(odd).as_py():
        raise misfit(column, first_value(array.filter(odd)), why=f"has more digits than {column.dest_type}")


WRITER = DuckdbWriter()
