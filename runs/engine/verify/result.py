"""The result of a comparison: counts, examples, and the segments with differences."""

from __future__ import annotations

from dataclasses import dataclass, field

from runs.engine.verify.differences import DifferenceCounts, DifferingKey
from runs.engine.verify.different_values import DifferentValue
from runs.engine.verify.segments import Grid, Segment

# examples of each type of difference
EXAMPLES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A segment whose rows are read, with the grid of its buckets."""

    segment: Segment
    grid: Grid


@dataclass(slots=True, kw_only=True)
class ComparisonResult:
    """The result; ``leaves`` are the segments that contain all differences."""

    source_rows: int = 0
    dest_rows: int = 0
    counts: DifferenceCounts = field(default_factory=DifferenceCounts)
    missing: list[DifferingKey] = field(default_factory=list)
    extra: list[DifferingKey] = field(default_factory=list)
    different: list[DifferentValue] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    # of the different rows, those whose keys have different texts that the destination considers equal
    respelled: int = 0
    # there may be more such rows, counted as missing and extra
    unpaired: bool = False
    # the range column's values of all differing keys; None if there are too many or no such column
    range_keys: list[str | None] | None = None
