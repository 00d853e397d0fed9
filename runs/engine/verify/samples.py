"""Which part of the rows a sample is, and when all of them are no more work."""

from __future__ import annotations

import random
from dataclasses import dataclass

# a sample of a table with an integer key is taken from so many places
_PLACES = 20
_BUCKETS = 4096
# rows that are compared in a second at least, wide ones read and hashed here; narrow ones on a server are ten times
# as quick
_ROWS_PER_SECOND = 50_000
# statements that a whole table of that size takes: ranges grow eightfold from a 64th of the keys
_WHOLE_STATEMENTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The part of the rows that is compared: ranges of the key, or buckets of its hash."""

    ranges: tuple[tuple[int, int], ...] = ()
    buckets: frozenset[int] | None = None

    @property
    def bucket_count(self) -> int:
        return _BUCKETS


def choose(bounds: tuple[int, int] | None, wanted: int, present: int, *, per_second: float) -> Sample | None:
    """Choose about so many of the rows at random; None when all of them are wanted, or are no more work.

    ``bounds`` are the lowest key and one more than the highest, None where there are no ranges: then each side is read
    by one statement whatever is wanted of it.
    """
    if not 0 < wanted < present:
        return None
    if bounds is None:
        number = max(1, wanted * _BUCKETS // present)
        return Sample(buckets=frozenset(random.sample(range(_BUCKETS), number)))
    ranges = tuple(_sampled(*bounds, share=wanted / present))
    # what the statements of the sample wait for, more than those of the whole table, is time for further rows
    waits = max(0, len(ranges) - _WHOLE_STATEMENTS) / per_second
    return None if present - wanted <= waits * _ROWS_PER_SECOND else Sample(ranges=ranges)


def _sampled(low: int, high: int, *, share: float) -> list[tuple[int, int]]:
    """Return ranges that make up a share of the keys, one at a random place in each of so many equal parts."""
    part = max(1, (high - low) // _PLACES)
    width = max(1, int(part * share))
    starts = (start + random.randrange(max(1, part - width)) for start in range(low, high, part))
    return [(start, min(start + width, high)) for start in starts if start < high]
