"""Parts of a table that are compared by one statement, and how each is divided into buckets.

Where the first key column is an integer on both sides a segment is a range of it, so that a part can be asked for
through the key's index. Otherwise the one segment is the whole table, divided by a hash of the key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

# buckets of a digest that are no range of the grid
NULLS, BELOW = -2, -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Rows with ``low <= key < high`` (None: unbounded), those without a key too where ``nulls``.

    With ``buckets`` only those whose key falls into these buckets of a `HashGrid`.
    """

    low: int | None = None
    high: int | None = None
    nulls: bool = True
    buckets: frozenset[int] | None = None

    @property
    def span(self) -> int | None:
        return None if self.low is None or self.high is None else self.high - self.low

    def condition(self, key: str) -> str:
        """Return the SQL condition on the key expression, empty when every row is meant."""
        parts = [f"{key} >= {self.low}"] if self.low is not None else []
        parts += [f"{key} < {self.high}"] if self.high is not None else []
        if not parts:
            return "" if self.nulls else f"{key} IS NOT NULL"
        text = " AND ".join(parts)
        return f"({text} OR {key} IS NULL)" if self.nulls else text


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeGrid:
    """Buckets of equal width from ``low`` on: bucket ``i`` begins at ``low + i * width``, the last one is open."""

    low: int
    width: int
    count: int

    @classmethod
    def over(cls, low: int, high: int, *, count: int) -> RangeGrid:
        width = max(1, -(-(high - low) // count))
        return cls(low=low, width=width, count=max(1, -(-(high - low) // width)))

    @property
    def high(self) -> int:
        return self.low + self.width * self.count

    def bucket(self, key: str, *, quotient: str) -> str:
        """Return the SQL expression of a row's bucket; ``quotient`` is the text of an integer division."""
        # cast here only: PostgreSQL's NaN is no bigint, and above every bucket
        position = quotient.format(f"(CAST({key} AS bigint) - {self.low})", self.width)
        return (
            f"CASE WHEN {key} IS NULL THEN {NULLS} WHEN {key} < {self.low} THEN {BELOW}"
            f" WHEN {key} >= {self.high} THEN {self.count} ELSE {position} END"
        )

    def segments(self, buckets: Collection[int]) -> Iterable[Segment]:
        """Yield the segments of some buckets, neighbours put together."""
        run: list[int] = []
        if NULLS in buckets:
            # no range holds them: an empty one with its NULLs does
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
        return f"({key_hash} & {self.count - 1})"


Grid = RangeGrid | HashGrid


def is_range_key(text: str) -> bool:
    """Whether a key lies in a range of integers: PostgreSQL's numeric has NaN too."""
    return text.removeprefix("-").isdecimal()
