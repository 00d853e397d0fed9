"""What a comparison found: counts, examples, and where the differences lie."""

from __future__ import annotations

from dataclasses import dataclass, field

from runs.engine.verify.differences import Counts, DifferingKey
from runs.engine.verify.different_values import DifferentValue
from runs.engine.verify.segments import Grid, Segment

# of each kind
EXAMPLES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A segment whose rows are read, with the grid that its buckets belong to."""

    segment: Segment
    grid: Grid


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What the comparison found; ``leaves`` are the segments that hold every difference."""

    source_rows: int = 0
    dest_rows: int = 0
    counts: Counts = field(default_factory=Counts)
    missing: list[DifferingKey] = field(default_factory=list)
    extra: list[DifferingKey] = field(default_factory=list)
    different: list[DifferentValue] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    # of the different rows, those whose keys are spelled differently and equal for the destination
    respelled: int = 0
    # there may be more of those, which are counted as missing and extra
    unpaired: bool = False
    # the range column's values of all differing keys, None when there are too many or there is no such column
    range_keys: list[str | None] | None = None
