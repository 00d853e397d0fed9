"""One of the two tables that are compared: what the comparison asks of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from connections.sdk.schema import Column, TableInfo
from runs.engine.verify.segments import Grid, Segment

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Digest:
    """How many rows a bucket holds, and the sum of their hashes."""

    rows: int
    checksum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What is compared: all columns, which of them name a row, and which of them are an integer key's first.

    Without a ``key`` the whole row names itself. ``range_column`` is the position of the column whose ranges are
    segments, None when the table is one segment.
    """

    columns: tuple[Column, ...]
    key: tuple[int, ...] = ()
    range_column: int | None = None
    # the module keeps the latest of the source's rows of one key
    one_per_key: bool = False
    # the position of the column whose highest value makes a row the latest; None where systems order it differently
    latest_by: int | None = None
    # named watermarks bound the query: rows that it does not return may be in the destination all the same
    partial: bool = False
    # only rows since a watermark's value are compared
    bounded: bool = False
    # the destination's NOCASE is about ASCII letters only
    ascii_only: bool = False
    # the destination keeps -0.0, which SQLite stores as 0.0
    signed_zero: bool = True

    @property
    def key_columns(self) -> tuple[Column, ...]:
        """The columns by which examples name a row."""
        return tuple(self.columns[position] for position in self.key_positions)

    @property
    def key_positions(self) -> tuple[int, ...]:
        return self.key or tuple(range(len(self.columns)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """What the module's query returns and the table it fills, as both are now."""

    query: str
    # every column of the query, in its order
    columns: tuple[Column, ...]
    info: TableInfo


class Value(NamedTuple):
    """A column's value: ``form`` is equal for equal values, ``text`` is what people see."""

    form: str | None
    text: str | None


class Side(Protocol):
    """Used by one thread at a time; ``stop`` may be called from another one."""

    def digest(self, segment: Segment, grid: Grid) -> dict[int, Digest]:
        """Return the digest of every bucket of the segment that holds rows."""
        ...

    def hashes(self, segment: Segment, grid: Grid) -> Iterator[pa.RecordBatch]:
        """Yield the segment's rows as ``key_hash``, ``row_hash`` (64-bit integers), the key columns as text and, where
        a latest row is looked for, what orders them as ``mark``."""
        ...

    def values(self, segment: Segment, grid: Grid, key_hashes: Collection[int]) -> dict[int, Sequence[Value]]:
        """Return the compared columns of one row for each of a few keys, by the hash of the key."""
        ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Both sides, and ``why`` their rows are hashed where they are."""

    source: Side
    destination: Side
    why: str


def paired(row: Sequence[str | None]) -> list[Value]:
    """Return the values of a row that has all forms first, then all texts."""
    half = len(row) // 2
    return [Value(form, text) for form, text in zip(row[:half], row[half:], strict=True)]
