"""A side whose own system hashes its rows: digests cross the network, and rows only if they differ."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import pyarrow as pa

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Batches, Session
from connections.sdk.schema import Column
from connections.sdk.sql.row_hash import HashedColumn
from connections.sdk.types import DataType, Kind, to_arrow
from runs.engine.segments import Grid, RangeGrid, Segment
from runs.engine.verify.side import ComparisonSpec, Digest, Value, paired

_BATCH_BYTES = 8_000_000
# columns whose values are read at once: PostgreSQL limits a select list to 1664 entries
_VALUES = 500
_BIGINT, _TEXT = DataType(kind=Kind.BIGINT), DataType(kind=Kind.TEXT)


class ServerSide:
    """A `Side` that is hashed by its own system.

    ``relation`` is the text after FROM, with its alias ``q``; ``condition``, unless empty, restricts every statement.
    ``row_hash`` returns the expression that hashes some of ``columns``, the columns that are compared.
    """

    def __init__(
        self,
        session: Session,
        parameters: ConnectionParameters,
        *,
        relation: str,
        condition: str,
        columns: Sequence[HashedColumn],
        spec: ComparisonSpec,
        row_hash: Callable[[Sequence[HashedColumn]], str],
    ) -> None:
        self._session, self._parameters = session, parameters
        self._relation, self._condition = relation, condition
        self._columns, self._spec, self._hashed = columns, spec, row_hash
        self._row_hash = row_hash(columns)
        self._key_hash = row_hash([columns[position] for position in spec.key_positions])
        self._batches: Batches | None = None

    def digest(self, segment: Segment, grid: Grid) -> dict[int, Digest]:
        rows = self._session.fetch(
            f"SELECT {self._bucket(grid)} AS bucket, count(*), sum({self._row_hash})\n"
            f"FROM {self._relation}{self._where(segment, grid)}\nGROUP BY 1"
        )
        return {int(bucket): Digest(int(count), int(checksum)) for bucket, count, checksum in rows}

    def hashes(self, segment: Segment, grid: Grid, *, few: bool = False) -> Iterator[pa.RecordBatch]:
        names = [f"k{number}" for number in range(len(self._spec.key_positions))]
        texts = [self._text(position) for position in self._spec.key_positions]
        if (latest := self._spec.latest_by) is not None:
            names.append("mark")
            texts.append(self._text(latest))
        listed = ", ".join(f"{text} AS {name}" for text, name in zip(texts, names, strict=True))
        query = (
            f"SELECT {self._key_hash} AS key_hash, {self._row_hash} AS row_hash, {listed}\n"
            f"FROM {self._relation}{self._where(segment, grid)}"
        )
        fields = [("key_hash", _BIGINT), ("row_hash", _BIGINT), *((name, _TEXT) for name in names)]
        # a stream has connections of its own, which take longer to open than a few rows to read
        yield from self._fetch(query, fields) if few else self._stream(query, fields)

    def values(self, segment: Segment, grid: Grid, key_hashes: Collection[int]) -> dict[int, Sequence[Value]]:
        wanted = f"{self._key_hash} IN ({', '.join(map(str, key_hashes))})"
        relation = f"FROM {self._relation}{self._where(segment, grid, wanted)}"
        values: dict[int, list[Value]] = {}
        for first in range(0, len(self._columns), _VALUES):
            positions = range(first, min(first + _VALUES, len(self._columns)))
            forms = [f"CAST({self._hashed([self._columns[n]])} AS text)" for n in positions]
            listed = ", ".join([*forms, *map(self._text, positions)])
            batch = {
                int(row[0]): paired(row[1:])
                for row in self._session.fetch(f"SELECT {self._key_hash}, {listed}\n{relation}")
            }
            # a row that was deleted between two statements is skipped
            values = {key: [*values.get(key, []), *more] for key, more in batch.items() if key in values or not first}
        return dict(values)

    def stop(self) -> None:
        self._session.cancel()
        if batches := self._batches:
            batches.close()

    def resume(self) -> None:
        # the session only cancels what is running
        pass

    def _fetch(self, query: str, fields: Sequence[tuple[str, DataType]]) -> Iterator[pa.RecordBatch]:
        schema = pa.schema([(name, to_arrow(data_type)) for name, data_type in fields])
        if rows := self._session.fetch(query):
            columns = zip(*rows, strict=True)
            arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
            yield pa.record_batch(arrays, schema=schema)

    def _stream(self, query: str, fields: Sequence[tuple[str, DataType]]) -> Iterator[pa.RecordBatch]:
        reader = registry.connector(self._parameters.kind, Cap.READ).reader
        assert reader is not None
        columns = [Column(dest_name=name, dest_type="", data_type=data_type) for name, data_type in fields]
        self._batches = reader.read(self._parameters, query, columns, batch_bytes=_BATCH_BYTES)
        try:
            yield from self._batches
        finally:
            self._batches.close()
            self._batches = None

    def _text(self, position: int) -> str:
        return f"CAST({self._columns[position].expression} AS text)"

    def _bucket(self, grid: Grid) -> str:
        if isinstance(grid, RangeGrid):
            return grid.bucket(self._range_key, quotient="{} / {}")
        return grid.bucket(self._key_hash)

    @property
    def _range_key(self) -> str:
        assert self._spec.range_column is not None
        return self._columns[self._spec.range_column].expression

    def _where(self, segment: Segment, grid: Grid, *more: str) -> str:
        conditions = [self._condition, *more]
        if self._spec.range_column is not None:
            conditions.append(segment.condition(self._range_key))
        if segment.buckets is not None:
            conditions.append(f"{self._bucket(grid)} IN ({', '.join(map(str, sorted(segment.buckets)))})")
        text = " AND ".join(condition for condition in conditions if condition)
        return f"\nWHERE {text}" if text else ""
