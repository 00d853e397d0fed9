"""Reads the rows of a SQLite query as Arrow batches, by compiled loops, or without them through ADBC.

Through ADBC, numeric columns are first read as one storage class. When a column turns out to contain several, the query
is read again (`ReadAgain`) with this column split by storage class.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pyarrow as pa

from connections.connectors.sqlite.compiled.cursor import load_modules
from connections.connectors.sqlite.compiled_batches import CompiledBatches
from connections.connectors.sqlite.errors import from_adbc
from connections.connectors.sqlite.opening import opened
from connections.connectors.sqlite.read_plan import ReadPlan, is_number, plan, wrong_class_error
from connections.sdk.arrow import adbc
from connections.sdk.arrow import compute as pc
from connections.sdk.arrow.batches import rebatch
from connections.sdk.arrow.convert import convert_exactly
from connections.sdk.arrow.numbers import EXACT_INTEGER, nearest_decimals
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Batches, ReadAgain
from connections.sdk.schema import Column
from connections.sdk.types import to_arrow

# rows per batch of the driver; the batches are concatenated to larger ones
_ROWS = 512
_MISMATCH = re.compile(r"Type mismatch in column (\d+)|expected BLOB")


class SqliteReader:
    """``mixed`` are the positions of columns with several storage classes, ``rows`` the size of a driver's batch.

    With ``compiled``, both are only for installations without compiled modules.
    """

    def __init__(self, *, mixed: frozenset[int] = frozenset(), rows: int = _ROWS, compiled: bool = True) -> None:
        self.mixed = mixed
        self.rows = rows
        self.compiled = compiled

    def read(
        self, parameters: ConnectionParameters, query: str, columns: Sequence[Column], *, batch_bytes: int
    ) -> Batches:
        if self.compiled and (modules := load_modules()):
            return CompiledBatches(modules, parameters, query, tuple(columns), batch_bytes)
        return SqliteBatches(self, parameters, query, tuple(columns), batch_bytes)


class SqliteBatches:
    """The batches of one query, which is executed when the iteration begins, and closed at its end."""

    def __init__(
        self,
        reader: SqliteReader,
        parameters: ConnectionParameters,
        query: str,
        columns: tuple[Column, ...],
        batch_bytes: int,
    ) -> None:
        self.reader = reader
        self.parameters = parameters
        self.columns = columns
        self.batch_bytes = batch_bytes
        self.plan = plan(query, columns, mixed=reader.mixed, rows=reader.rows)
        self.schema = pa.schema([(column.dest_name, to_arrow(column.data_type)) for column in columns])
        self.rows = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        with opened(self.parameters, compiled=False) as cursor:
            assert isinstance(cursor, adbc.Cursor)
            for raw in rebatch(self._strict(_stream(cursor, self.plan)), self.batch_bytes):
                batch = pa.record_batch(
                    [self._column(raw, position) for position in range(len(self.columns))], schema=self.schema
                )
                self.rows += batch.num_rows
                yield batch

    def close(self) -> None:
        """Do nothing: the iterator closes the connection."""

    def is_busy(self) -> bool:
        return True

    def _strict(self, stream: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        try:
            for batch in stream:
                size = batch.get_total_buffer_size()
                if size > 8 * self.batch_bytes and self.reader.rows > 1:
                    fewer = max(1, batch.num_rows * self.batch_bytes // size)
                    raise ReadAgain(
                        SqliteReader(mixed=self.reader.mixed, rows=fewer, compiled=False), "its rows are very wide"
                    )
                yield batch
        except OSError as error:
            raise self._mismatch(error) from None

    def _mismatch(self, error: OSError) -> Exception:
        """Return the exception for an error of the driver: `ReadAgain`, an invalid value, or an error of SQLite."""
        match = _MISMATCH.search(str(error))
        if match is None:
            return from_adbc(error, name=self.parameters.name)
        output = int(match[1]) if match[1] is not None else self.plan.guard
        numbers = (i for i, places in enumerate(self.plan.places) if output in places and is_number(self.columns[i]))
        position = next(numbers, None)
        if (position is None or output == self.plan.guard) and (invalid := self._wrong_class()):
            return invalid
        # without such a value, another process has changed it meanwhile
        return from_adbc(error, name=self.parameters.name) if position is None else self._read_mixed(position)

    def _read_mixed(self, position: int) -> ReadAgain:
        # at first only this column, the second time all columns: at most two further passes
        mixed = frozenset(range(len(self.columns))) if self.reader.mixed else frozenset({position})
        reader = SqliteReader(mixed=mixed, rows=self.reader.rows, compiled=False)
        return ReadAgain(reader, f"column “{self.columns[position].dest_name}” has more than one storage class")

    def _wrong_class(self) -> Exception | None:
        """Return the error for the first value whose storage class its column must not have; None if there is none."""
        with opened(self.parameters, compiled=False) as cursor:
            assert isinstance(cursor, adbc.Cursor)
            cursor.execute(self.plan.first_wrong_class)
            row = cursor.fetchone()
        if row is None:
            return None
        position, value = row
        return wrong_class_error(self.columns[position], value)

    def _column(self, raw: pa.RecordBatch, position: int) -> pa.Array:
        column, places = self.columns[position], self.plan.places[position]
        if len(places) == 1:
            array = raw.column(places[0])
            if (decimals := self._decimals(array, position)) is not None:
                return decimals
            self._check_doubles(array, position)
            return convert_exactly(array, column)
        reals, rest = (raw.column(place) for place in places)
        return pc.coalesce(convert_exactly(rest, column), convert_exactly(reals, column))

    def _decimals(self, array: pa.Array, position: int) -> pa.Array | None:
        """Return doubles as decimals if this is exact for all, None otherwise.

        Integers among them have kept their digits: fifteen at most.
        """
        target = self.schema.field(position).type
        if not pa.types.is_decimal(target) or not pa.types.is_floating(array.type):
            return None
        return nearest_decimals(array, target)

    def _check_doubles(self, array: pa.Array, position: int) -> None:
        """Read the column as mixed if it contains doubles so large that integers could have lost digits.

        The driver converts integers to doubles.
        """
        if not pa.types.is_floating(array.type):
            return
        ends = pc.min_max(array).as_py()
        if ends["max"] is not None and max(ends["max"], -ends["min"]) >= EXACT_INTEGER:
            raise self._read_mixed(position)


def _stream(cursor: adbc.Cursor, read_plan: ReadPlan) -> Iterator[pa.RecordBatch]:
    cursor.set_options(**{"adbc.sqlite.query.batch_rows": read_plan.seeds})
    cursor.execute(read_plan.sql)
    stream = iter(cursor.record_batches())
    # the first batch consists of the seed rows
    next(stream)
    yield from stream


READER = SqliteReader()
