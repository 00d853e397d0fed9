"""Segments: the parts of a table that one statement compares. Grids: how a segment is divided into smaller parts.

If the first key column is an integer on both sides, a segment is a range of it, which the key's index can find.
Otherwise the only segment is the whole table, divided by a hash of the key. Verifications compare segments, and the
plan of a repair contains those that differ.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from connections.sdk.records import dataclass

# buckets outside of a grid's ranges
NULLS, BELOW = -2, -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Rows with ``low <= key < high`` (None: unbounded), and with ``nulls`` those whose key is NULL.

    With ``buckets``, only rows whose key is in these buckets of a `HashGrid`.
    """

    low: int | None = None
    high: int | None = None
    nulls: bool = True
    buckets: frozenset[int] | None = None

    @property
    def span(self) -> int | None:
        return None if self.low is None or self.high is None else self.high - self.low

    def condition(self, key: str) -> str:
        """Return the SQL condition on the key expression, empty if it is true for every row."""
        parts = [f"{key} >= {self.low}"] if self.low is not None else []
        parts += [f"{key} < {self.high}"] if self.high is not None else []
        if not parts:
            return "" if self.nulls else f"{key} IS NOT NULL"
        text = " AND ".join(parts)
        return f"({text} OR {key} IS NULL)" if self.nulls else text


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeGrid:
    """Buckets of equal width: bucket ``i`` begins at ``low + i * width``; bucket ``count`` has all keys above."""

    low: int
    width: int
    count: int

    @classmethod
    def over(cls, low: int, high: int, *, count: int) -> RangeGrid:
        """Return a grid of at most ``count`` buckets that covers ``low <= key < high``."""
        width = max(1, -(-(high - low) // count))
        return cls(low=low, width=width, count=max(1, -(-(high - low) // width)))

    @property
    def high(self) -> int:
        return self.low + self.width * self.count

    def bucket(self, key: str, *, quotient: str) -> str:
        """Return the SQL expression of a row's bucket; ``quotient`` is a format string for an integer division."""
        # cast only here, because PostgreSQL's NaN, which is above every bucket, cannot be cast
        position = quotient.format(f"(CAST({key} AS bigint) - {self.low})", self.width)
        return (
            f"CASE WHEN {key} IS NULL THEN {NULLS} WHEN {key} < {self.low} THEN {BELOW}"
            f" WHEN {key} >= {self.high} THEN {self.count} ELSE {position} END"
        )

    def segments(self, buckets: Collection[int]) -> Iterable[Segment]:
        """Yield the segments of some buckets; adjacent buckets are one segment."""
        run: list[int] = []
        if NULLS in buckets:
            # an empty range and its NULLs, because NULLs are in no range
            yield Segment(low=0, high=0, nulls=True)
        for bucket in sorted(bucket for bucket in buckets if bucket != NULLS):
            if run and bucket != run[-1] + 1:
                yield self._segment(run[0], run[-1])
                run = []
            run.append(bucket)
        if run:
            yield self._segment(run[0], run[-1])

    def _segment(self, first: int, last: int) -> Segment:
        low = None if first == BELOW else self.low + first * self.width
        high = None if last == self.count else self.low + (last + 1) * self.width
        return Segment(low=low, high=high, nulls=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HashGrid:
    """Buckets by the low bits of the key's hash; ``count`` is a power of two."""

    count: int

    def bucket(self, key_hash: str) -> str:
        """Return the SQL expression of a row's bucket."""
        return f"({key_hash} & {self.count - 1})"


Grid = RangeGrid | HashGrid


def is_range_key(text: str) -> bool:
    """Return whether a key is an integer and so in a range; PostgreSQL's numeric also has NaN."""
    return text.removeprefix("-").isdecimal()
