"""The interface that a verification needs of a table: digests of segments of its rows, and the rows themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from connections.sdk.records import dataclass
from connections.sdk.schema import Column, TableInfo
from runs.engine.segments import Grid, Segment

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Digest:
    """The number of rows in a bucket, and the sum of their hashes."""

    rows: int
    checksum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonSpec:
    """The columns to compare, and the positions of those that identify a row (``key``; empty: all columns).

    ``range_column`` is the position of the integer key column whose ranges are segments; None if the table is one
    segment.
    """

    columns: tuple[Column, ...]
    key: tuple[int, ...] = ()
    range_column: int | None = None
    # the module keeps the latest of several source rows with one key
    one_per_key: bool = False
    # the position of the column whose highest value makes a row the latest; None if systems order its type differently
    latest_by: int | None = None
    # named watermarks bound the query, so the destination may have rows that it does not return
    partial: bool = False
    # only rows since a watermark's value are compared
    since_only: bool = False
    # the destination's collations that ignore case do so for ASCII letters only
    ascii_only: bool = False
    # the destination distinguishes -0.0 from 0.0
    signed_zero: bool = True

    @property
    def key_columns(self) -> tuple[Column, ...]:
        """The columns that identify a row in examples."""
        return tuple(self.columns[position] for position in self.key_positions)

    @property
    def key_positions(self) -> tuple[int, ...]:
        return self.key or tuple(range(len(self.columns)))


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryAndTable:
    """The module's query with its columns, and the table that it fills, as both are now."""

    query: str
    # every column of the query, in its order
    columns: tuple[Column, ...]
    info: TableInfo


class Value(NamedTuple):
    """A column's value: its canonical ``form``, and its ``text`` for users."""

    form: str | None
    text: str | None


class Side(Protocol):
    """One side of a comparison. It is used by one thread at a time; only ``stop`` may be called from another one."""

    def digest(self, segment: Segment, grid: Grid) -> dict[int, Digest]:
        """Return the digest of every bucket of the segment that is not empty."""
        ...

    def hashes(self, segment: Segment, grid: Grid, *, few: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield the segment's rows: ``key_hash``, ``row_hash`` (64-bit integers), and the key columns as text.

        With `ComparisonSpec.latest_by`, the text of that column is added as ``mark``. If the rows are ``few``, they
        need not be streamed.
        """
        ...

    def values(self, segment: Segment, grid: Grid, key_hashes: Collection[int]) -> dict[int, Sequence[Value]]:
        """Return the compared columns of one row for each of a few keys, by the hash of the key."""
        ...

    def stop(self) -> None:
        """Cancel the statement that is running, if any; it raises, and those after it may until `resume`."""
        ...

    def resume(self) -> None:
        """Allow statements again after `stop`. Called when no statement is running."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Both sides; ``why`` explains for the log where their rows are hashed."""

    source: Side
    destination: Side
    why: str


def paired(row: Sequence[str | None]) -> list[Value]:
    """Return the values of a row that consists of all forms, followed by all texts."""
    half = len(row) // 2
    return [Value(form, text) for form, text in zip(row[:half], row[half:], strict=True)]
