"""The values in which the rows of a few keys differ, for people to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from runs.engine.verify.differences import DifferingKey
from runs.engine.verify.segments import Grid, RangeGrid, Segment, is_range_key
from runs.engine.verify.side import Compared, Value

# the values of rows, by the hash of their key
Rows = Mapping[int, Sequence[Value]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferentValue:
    key: tuple[str | None, ...]
    column: str
    source: str | None
    destination: str | None


def different_values(
    keys: Sequence[DifferingKey],
    compared: Compared,
    *,
    segment: Segment,
    grid: Grid,
    ask: Callable[[Segment, Grid, Sequence[int]], tuple[Rows, Rows]],
) -> list[DifferentValue]:
    """Return what differs in the rows of the keys; a row that is gone meanwhile is left out.

    A key that is an integer is asked for as a range of its own, through an index. All others lie in the ``segment``,
    and one statement a side reads them.
    """
    places: dict[tuple[Segment, Grid], list[DifferingKey]] = {}
    for key in keys:
        places.setdefault(_range_of(key, compared) or (segment, grid), []).append(key)
    found: list[DifferentValue] = []
    for place, here in places.items():
        source, destination = ask(*place, [key.key_hash for key in here])
        for key in here:
            found += _in_row(key, compared, source.get(key.key_hash), destination.get(key.key_hash))
    return found


def _range_of(key: DifferingKey, compared: Compared) -> tuple[Segment, Grid] | None:
    column = compared.range_column
    text = None if column is None else key.key[compared.key_positions.index(column)]
    if text is None or not is_range_key(text):
        return None
    number = int(text)
    return Segment(low=number, high=number + 1, nulls=False), RangeGrid(low=number, width=1, count=1)


def _in_row(
    key: DifferingKey, compared: Compared, source: Sequence[Value] | None, destination: Sequence[Value] | None
) -> list[DifferentValue]:
    if source is None or destination is None:
        return []
    return [
        DifferentValue(key=key.key, column=column.dest_name, source=here.text, destination=there.text)
        for column, here, there in zip(compared.columns, source, destination, strict=True)
        if here.form != there.form
    ]
