"""Chooses a random sample of the rows, or all rows if comparing them costs no more."""

from __future__ import annotations

import random

from connections.sdk.records import dataclass

# ranges of a sample, for a table with an integer key
_RANGES = 20
_BUCKETS = 4096
# a low estimate of the rows compared in a second: wide rows that are read and hashed here; a server that hashes narrow
# rows is ten times as fast
_ROWS_PER_SECOND = 50_000
# statements for a whole table of that size: ranges grow eightfold from a 64th of the keys
_WHOLE_STATEMENTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The rows that are compared: ranges of the key, or buckets of its hash."""

    ranges: tuple[tuple[int, int], ...] = ()
    buckets: frozenset[int] | None = None

    @property
    def bucket_count(self) -> int:
        return _BUCKETS


def choose_sample(key_range: tuple[int, int] | None, wanted: int, present: int, *, per_second: float) -> Sample | None:
    """Return a random sample of about ``wanted`` of the ``present`` rows; None if all of them are to be compared.

    ``key_range`` is the lowest key and one more than the highest. Without it there are no ranges, and each side is read
    with one statement whatever the size of the sample.
    """
    if not 0 < wanted < present:
        return None
    if key_range is None:
        number = max(1, wanted * _BUCKETS // present)
        return Sample(buckets=frozenset(random.sample(range(_BUCKETS), number)))
    ranges = tuple(_sampled(*key_range, share=wanted / present))
    # a sample has more statements than the whole table, and waits between them, in which rows could be compared
    waits = max(0, len(ranges) - _WHOLE_STATEMENTS) / per_second
    return None if present - wanted <= waits * _ROWS_PER_SECOND else Sample(ranges=ranges)


def _sampled(low: int, high: int, *, share: float) -> list[tuple[int, int]]:
    """Return ranges with a share of the keys, one at a random position in each of _RANGES equal parts."""
    part = max(1, (high - low) // _RANGES)
    width = max(1, int(part * share))
    starts = (start + random.randrange(max(1, part - width)) for start in range(low, high, part))
    return [(start, min(start + width, high)) for start in starts if start < high]
