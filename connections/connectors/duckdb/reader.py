"""Reads the rows of a DuckDB query as Arrow batches. The file is opened read-only; no other file can be accessed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from connections.connectors.duckdb import driver, memory
from connections.connectors.duckdb.errors import from_duckdb
from connections.connectors.duckdb.introspection import describe_query
from connections.sdk import errors
from connections.sdk.arrow.batches import rebatch
from connections.sdk.arrow.convert import convert_exactly
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import ReadAgain
from connections.sdk.schema import Column
from connections.sdk.sql.final_semicolon import without_final_semicolon
from connections.sdk.types import to_arrow

# DuckDB's vector size
_ROWS = 2048
_NATIVE = re.compile(
    r"BOOLEAN|U?(TINY|SMALL|BIG)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|VARCHAR|BLOB|DATE|TIME|UUID|JSON"
    r"|TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE|\"NULL\""
)
_TEXT = frozenset({"VARCHAR", "UUID", "JSON", "BLOB", '"NULL"'})


class DuckdbReader:
    """``size`` is the memory limit in bytes; 0 means the default for the number of columns."""

    def __init__(self, *, size: int = 0) -> None:
        self.size = size

    def read(
        self, parameters: ConnectionParameters, query: str, columns: Sequence[Column], *, batch_bytes: int
    ) -> DuckdbBatches:
        size = self.size or memory.needed(len(columns))
        return DuckdbBatches(parameters, query, tuple(columns), batch_bytes, size)


class DuckdbBatches:
    """The batches of one query, which is executed when the iteration begins.

    ``close`` cancels the query; it may be called from another thread.
    """

    def __init__(
        self, parameters: ConnectionParameters, query: str, columns: tuple[Column, ...], batch_bytes: int, size: int
    ) -> None:
        self.parameters = parameters
        self.size = size
        self.query = without_final_semicolon(query)
        self.columns = columns
        self.batch_bytes = batch_bytes
        self.schema = pa.schema([(column.dest_name, to_arrow(column.data_type)) for column in columns])
        self.rows = 0
        self._stop: Callable[[], object] | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        # a process can open a file only in one mode at a time
        session = driver.connect(self.parameters, read_only=not self.parameters.same_file)
        self._stop = session.cancel
        try:
            memory.set_limit(session, self.parameters, self.size)
            for raw in rebatch(self._stream(session), self.batch_bytes):
                arrays = [convert_exactly(raw.column(i), column) for i, column in enumerate(self.columns)]
                self.rows += raw.num_rows
                yield pa.record_batch(arrays, schema=self.schema)
        finally:
            self._stop = None
            session.close()

    def close(self) -> None:
        if stop := self._stop:
            with contextlib.suppress(duckdb.Error):
                stop()

    def is_busy(self) -> bool:
        return True

    def _stream(self, session: driver.DuckdbSession) -> Iterator[pa.RecordBatch]:
        text = self._wrapped(session)
        try:
            yield from _reader(session.connection.sql(text))
        except (duckdb.Error, OSError, pa.ArrowException) as error:
            raise self._translate(error) from None

    def _translate(self, error: Exception) -> Exception:
        """Return the exception for an error in the stream; `ReadAgain` with more memory when that was exhausted."""
        if "out of memory" in str(error).lower():
            size = memory.next_limit(self.size)
            if size and not memory.configured_limit(self.parameters):
                return ReadAgain(DuckdbReader(size=size), "the query needs more memory")
        elif isinstance(error, duckdb.Error):
            return from_duckdb(error, name=self.parameters.name)
        name = self.parameters.name or "DuckDB"
        return errors.QueryInvalid(f"{name}: {error}", hint=memory.hint_for(str(error)))

    def _wrapped(self, session: driver.DuckdbSession) -> str:
        described = describe_query(session, self.query)
        if len(described) != len(self.columns):
            raise errors.ColumnMissing(
                f"The source query returns {len(described)} columns, but the module has {len(self.columns)}.",
                hint="Refresh the module's columns from its query.",
            )
        names = [f"c{position}" for position in range(len(described))]
        values = [
            _value(f"q.{name}", info.native_type, column)
            for name, info, column in zip(names, described, self.columns, strict=True)
        ]
        return f"SELECT {', '.join(values)} FROM (\n{self.query}\n) AS q({', '.join(names)})"


def _value(value: str, native: str, column: Column) -> str:
    """Return the expression to select: a cast to text if Arrow would not hold the type exactly, or text is expected."""
    is_text = pa.types.is_string(to_arrow(column.data_type))
    if _NATIVE.fullmatch(native) and (not is_text or native in _TEXT):
        return value
    return f"CAST({value} AS VARCHAR)"


def _reader(relation: Any) -> Any:
    # renamed in DuckDB 2; a cursor would materialise the whole result
    make = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
    return make(_ROWS)


READER = DuckdbReader()
