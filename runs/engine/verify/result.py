"""The result of a comparison: counts, the segments with differences, and examples with the values that differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from connections.sdk.records import dataclass
from runs.engine.segments import Grid, RangeGrid, Segment, is_range_key
from runs.engine.verify.differences import DifferenceCounts, DifferingKey
from runs.engine.verify.side import ComparisonSpec, Value

# examples of each type of difference
EXAMPLES = 10
# the values of rows, by the hash of their key
Rows = Mapping[int, Sequence[Value]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferentValue:
    """A value that differs, as text on both sides; None is NULL."""

    key: tuple[str | None, ...]
    column: str
    source: str | None
    destination: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A segment whose rows are read, with the grid of its buckets, and whether they are few."""

    segment: Segment
    grid: Grid
    few: bool = False


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


def different_values(
    keys: Sequence[DifferingKey],
    spec: ComparisonSpec,
    *,
    segment: Segment,
    grid: Grid,
    read_values: Callable[[Segment, Grid, Sequence[int]], tuple[Rows, Rows]],
) -> list[DifferentValue]:
    """Return the values that differ in the rows of the keys; rows that were deleted meanwhile are skipped.

    An integer key is read as a range of its own, through an index. All other keys are in the ``segment`` and are read
    with one statement on each side.
    """
    places: dict[tuple[Segment, Grid], list[DifferingKey]] = {}
    for key in keys:
        places.setdefault(_range_of(key, spec) or (segment, grid), []).append(key)
    values: list[DifferentValue] = []
    for place, its_keys in places.items():
        source, destination = read_values(*place, [key.key_hash for key in its_keys])
        for key in its_keys:
            values += _in_row(key, spec, source.get(key.key_hash), destination.get(key.key_hash))
    return values


def _range_of(key: DifferingKey, spec: ComparisonSpec) -> tuple[Segment, Grid] | None:
    column = spec.range_column
    text = None if column is None else key.key[spec.key_positions.index(column)]
    if text is None or not is_range_key(text):
        return None
    number = int(text)
    return Segment(low=number, high=number + 1, nulls=False), RangeGrid(low=number, width=1, count=1)


def _in_row(
    key: DifferingKey, spec: ComparisonSpec, source: Sequence[Value] | None, destination: Sequence[Value] | None
) -> list[DifferentValue]:
    if source is None or destination is None:
        return []
    return [
        DifferentValue(key=key.key, column=column.dest_name, source=at_source.text, destination=at_dest.text)
        for column, at_source, at_dest in zip(spec.columns, source, destination, strict=True)
        if at_source.form != at_dest.form
    ]
