"""The batches of a query that compiled loops read in one pass, each value by its own storage class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from connections.connectors.sqlite.compiled.cursor import Cursor, Modules
from connections.connectors.sqlite.compiled.number_column import NumberColumn
from connections.connectors.sqlite.errors import from_adbc
from connections.connectors.sqlite.opening import opened
from connections.connectors.sqlite.read_plan import is_number, unseeded, wrong_class_error
from connections.sdk.arrow.convert import convert_exactly
from connections.sdk.errors import Cancelled
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import Column
from connections.sdk.types import Kind, to_arrow

# rows of a batch, and a part of the bytes of one, as `rebatch` makes them
_MAX_ROWS, _PART = 65536, 4


class CompiledBatches:
    """The batches of one query, which is executed when the iteration begins, and closed at its end.

    ``close`` interrupts the query; it may be called from another thread.
    """

    def __init__(
        self,
        modules: Modules,
        parameters: ConnectionParameters,
        query: str,
        columns: tuple[Column, ...],
        batch_bytes: int,
    ) -> None:
        self.modules = modules
        self.parameters = parameters
        self.columns = columns
        self.batch_bytes = batch_bytes
        self.query = unseeded(query, columns)
        self.schema = pa.schema([(column.dest_name, to_arrow(column.data_type)) for column in columns])
        self.rows = 0
        # for texts of the usual form; all others are parsed by `convert_exactly`
        self._parsers = {Kind.DATE: modules.dates.dates}
        self._parsers |= dict.fromkeys((Kind.TIMESTAMP, Kind.TIMESTAMPTZ), modules.dates.timestamps)
        self._kinds = [self._kind(column) for column in columns]
        self._is_closed = False
        self._cursor: Cursor | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        with opened(self.parameters) as cursor:
            assert isinstance(cursor, Cursor)
            self._cursor = cursor
            try:
                with cursor.rows(self.query, self._kinds, most=_MAX_ROWS) as rows:
                    while taken := self._next(rows):
                        count, values = taken
                        arrays = [self._array(position, count, each) for position, each in enumerate(values)]
                        self.rows += count
                        yield pa.record_batch(arrays, schema=self.schema)
            finally:
                self._cursor = None

    def close(self) -> None:
        self._is_closed = True
        if cursor := self._cursor:
            cursor.interrupt()

    def is_busy(self) -> bool:
        return True

    def _kind(self, column: Column) -> int:
        rows = self.modules.rows
        if column.data_type.kind is Kind.BINARY:
            return int(rows.BYTES)
        return int(rows.NUMBER if is_number(column) else rows.TEXT)

    def _next(self, rows: Any) -> tuple[int, list[Any]] | None:
        """Return the number of the next rows and the buffers of their columns, None after the last row."""
        modules = self.modules
        if self._is_closed:
            raise Cancelled("The query was cancelled.")
        try:
            count, values = rows.read(max(1, self.batch_bytes // _PART))
        except modules.rows.WrongClass as wrong:
            raise wrong_class_error(self.columns[wrong.position], wrong.value) from None
        except modules.connection.SqliteError as error:
            if self._is_closed:
                raise Cancelled("The query was cancelled.") from None
            raise from_adbc(error, name=self.parameters.name) from None
        return (count, values) if count else None

    def _array(self, position: int, count: int, values: Any) -> pa.Array:
        column = self.columns[position]
        if self._kinds[position] == self.modules.rows.NUMBER:
            return NumberColumn(self.modules, column, count, *values).array()
        _, nulls, valid, offsets, text = values
        validity = valid and pa.py_buffer(valid)
        if (parse := self._parsers.get(column.data_type.kind)) and (parsed := parse(offsets, text, valid)) is not None:
            buffers = [validity, pa.py_buffer(parsed)]
            return pa.Array.from_buffers(self.schema.field(position).type, count, buffers, null_count=nulls)
        stored = pa.binary() if column.data_type.kind is Kind.BINARY else pa.string()
        buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(text)]
        return convert_exactly(pa.Array.from_buffers(stored, count, buffers, null_count=nulls), column)
