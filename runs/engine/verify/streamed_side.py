"""A side whose rows are read and hashed here, for systems that cannot hash and for pairs that hash differently.

Rows are read as in a transfer, into the destination's types. If both sides are read, they are hashed by DuckDB's own
hash, the fastest one; if the other side is hashed by its server, by the hash that all systems share.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from connections import registry
from connections.sdk.arrow.text_search import has_nul
from connections.sdk.capabilities import Cap
from connections.sdk.errors import Cancelled
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Batches, ReadAgain, Reader
from connections.sdk.schema import Column
from connections.sdk.types import to_arrow
from runs.engine.segments import Grid, RangeGrid, Segment
from runs.engine.verify import shared_hash
from runs.engine.verify.canonical import canonical_values, folded, has_form
from runs.engine.verify.side import ComparisonSpec, Digest, Value, paired

_BATCH_BYTES = 8_000_000
# decimals of more digits take 128 bits
_INT64_DIGITS = 18
_SETTINGS = (
    "SET threads = 1",
    "SET memory_limit = '300MB'",
    "SET python_enable_replacements = false",
    "SET enable_progress_bar = false",
)


class StreamedSide:
    """A `Side` that is hashed here.

    ``query`` returns the query for a segment; ``read`` are its columns, which include the compared ones. ``condition``
    filters the rows further, in DuckDB's SQL. With ``shared`` rows are hashed by the hash that all systems share.
    """

    def __init__(
        self,
        parameters: ConnectionParameters,
        *,
        query: Callable[[Segment], str],
        read: Sequence[Column],
        spec: ComparisonSpec,
        strip_nul_bytes: bool,
        condition: str = "",
        shared: bool = False,
    ) -> None:
        self._parameters, self._query, self._spec = parameters, query, spec
        self._strips, self._condition, self._shared = strip_nul_bytes, condition, shared
        self._columns = tuple(read)
        self._positions = [self._columns.index(column) for column in spec.columns]
        self._duckdb = duckdb.connect()
        for setting in _SETTINGS:
            self._duckdb.execute(setting)
        self._batches: Batches | None = None
        self._stopped = False
        reader = registry.connector(parameters.kind, Cap.READ).reader
        assert reader is not None
        self._reader: Reader = reader
        self._row_hash = self._hash(range(len(spec.columns)))
        self._key_hash = self._hash(spec.key_positions)

    def digest(self, segment: Segment, grid: Grid) -> dict[int, Digest]:
        text = (
            f"SELECT {self._bucket(grid)} AS bucket, count(*), sum({self._row_hash}::HUGEINT)"
            f" FROM batches{self._where(segment, grid)} GROUP BY 1"
        )
        rows = self._fetch(segment, text)
        return {int(bucket): Digest(int(count), int(checksum)) for bucket, count, checksum in rows}

    def hashes(self, segment: Segment, grid: Grid, *, few: bool = False) -> Iterator[pa.RecordBatch]:
        """See `Side`. Raises ReadAgain when the reader was not exact; the next call uses a more careful one."""
        texts = [self._text(position) for position in self._spec.key_positions]
        listed = ", ".join(f"{text} AS k{number}" for number, text in enumerate(texts))
        if (latest := self._spec.latest_by) is not None:
            listed += f", {self._shown(latest)} AS mark"
        where = self._where(segment, grid)
        text = f"SELECT {self._key_hash} AS key_hash, {self._row_hash} AS row_hash, {listed} FROM batch{where}"
        try:
            for batch in self._canonical_batches(segment):
                self._duckdb.register("batch", batch)
                yield from _table(self._duckdb.sql(text)).to_batches()
        except ReadAgain as again:
            self._reader = again.reader
            raise

    def values(self, segment: Segment, grid: Grid, key_hashes: Collection[int]) -> dict[int, Sequence[Value]]:
        positions = range(len(self._spec.columns))
        forms = [self._form(position) for position in positions]
        listed = ", ".join([*forms, *(self._text(position) for position in positions)])
        wanted = f"{self._key_hash} IN ({', '.join(map(str, key_hashes))})"
        text = f"SELECT {self._key_hash}, {listed} FROM batches{self._where(segment, grid, wanted)}"
        return {int(row[0]): paired(row[1:]) for row in self._fetch(segment, text)}

    def stop(self) -> None:
        # the flag also stops a query before its first batch, when there is nothing to interrupt yet
        self._stopped = True
        self._duckdb.interrupt()
        if batches := self._batches:
            batches.close()

    def resume(self) -> None:
        self._stopped = False

    def close(self) -> None:
        """Close the DuckDB in which the rows are compared."""
        self._duckdb.close()

    def _fetch(self, segment: Segment, text: str) -> list[tuple[Any, ...]]:
        """Execute a query over the whole stream, again with a more careful reader if the first was not exact."""
        while True:
            stream = self._canonical_batches(segment)
            failures: list[Exception] = []
            try:
                first = next(stream, None)
                if first is None:
                    return []
                batches = pa.RecordBatchReader.from_batches(first.schema, _guarded(first, stream, failures))
                self._duckdb.register("batches", batches)
                return self._duckdb.execute(text).fetchall()
            except (duckdb.Error, ReadAgain) as error:
                # DuckDB only keeps the text of an error that the stream raised
                cause = failures[0] if failures else error
                if not isinstance(cause, ReadAgain):
                    raise cause from None
                self._reader = cause.reader
            finally:
                stream.close()

    def _canonical_batches(self, segment: Segment) -> Generator[pa.RecordBatch, None, None]:
        """Yield the segment's rows with the columns that queries use.

        ``c0``, ``c1``, ... are canonical values; ``d0``, ... values as read, for types with a canonical form; ``h0``,
        ... items of the shared hash.
        """
        for batch in self._read(segment):
            arrays, names = [], []
            for position, column in enumerate(self._spec.columns):
                array = self._stripped(batch.column(self._positions[position]))
                form = canonical_values(array, column.data_type, signed_zero=self._spec.signed_zero)
                if column.collation and position in self._spec.key:
                    form = folded(form, column.collation, ascii_only=self._spec.ascii_only)
                arrays.append(form)
                names.append(f"c{position}")
                if has_form(column.data_type):
                    arrays.append(array)
                    names.append(f"d{position}")
                if self._shared and shared_hash.has_item(column.data_type):
                    arrays.append(shared_hash.item(form, column.data_type))
                    names.append(f"h{position}")
            yield pa.record_batch(arrays, names=names)

    def _read(self, segment: Segment) -> Iterator[pa.RecordBatch]:
        self._check_stopped()
        batches = self._reader.read(self._parameters, self._query(segment), self._columns, batch_bytes=_BATCH_BYTES)
        self._batches = batches
        try:
            for batch in batches:
                self._check_stopped()
                yield batch
        finally:
            self._batches = None
            batches.close()

    def _check_stopped(self) -> None:
        if self._stopped:
            raise Cancelled("The comparison was stopped.")

    def _stripped(self, array: pa.Array) -> pa.Array:
        if self._strips and pa.types.is_string(array.type) and has_nul(array):
            return pc.replace_substring(array, "\0", "")
        return array

    def _hash(self, positions: Iterable[int]) -> str:
        return (shared_hash.row_hash if self._shared else _hash)(self._spec.columns, positions)

    def _form(self, position: int) -> str:
        # with the shared hash, the form is the same as on the server
        return f"CAST({self._hash([position]) if self._shared else f'c{position}'} AS VARCHAR)"

    def _text(self, position: int) -> str:
        return f"CAST({self._shown(position)} AS VARCHAR)"

    def _shown(self, position: int) -> str:
        """Return the name of the column with the values as they were read."""
        return f"{'d' if has_form(self._spec.columns[position].data_type) else 'c'}{position}"

    def _bucket(self, grid: Grid) -> str:
        if isinstance(grid, RangeGrid):
            return grid.bucket(f"CAST(c{self._spec.range_column} AS BIGINT)", quotient="{} // {}")
        return grid.bucket(self._key_hash)

    def _where(self, segment: Segment, grid: Grid, *more: str) -> str:
        conditions = [condition for condition in (self._condition, *more) if condition]
        if segment.buckets is not None:
            conditions.append(f"{self._bucket(grid)} IN ({', '.join(map(str, sorted(segment.buckets)))})")
        return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _hash(columns: Sequence[Column], positions: Iterable[int]) -> str:
    terms = ", ".join(_term(columns[position], f"c{position}") for position in positions)
    # hashed twice, because DuckDB combines columns by XOR and the sum over rows might not change when two rows swap
    # values; a signed integer, as in the other systems
    return f"CAST(hash(hash({terms})) >> 1 AS BIGINT)"


def _term(column: Column, name: str) -> str:
    arrow = to_arrow(column.data_type)
    # DuckDB hashes a wide number as the XOR of its halves, which is 0 for zero and for minus one
    wide = pa.types.is_decimal(arrow) and arrow.precision > _INT64_DIGITS
    return f"CAST({name} AS VARCHAR)" if wide else name


def _table(relation: Any) -> pa.Table:
    # renamed in DuckDB 2
    make = getattr(relation, "to_arrow_table", None) or relation.fetch_arrow_table
    return make()


def _guarded(
    first: pa.RecordBatch, stream: Iterator[pa.RecordBatch], failures: list[Exception]
) -> Iterator[pa.RecordBatch]:
    yield first
    try:
        yield from stream
    except Exception as error:
        failures.append(error)
        raise
