"""Verify one module: is every row that its query returns in the destination, exactly, and no other?"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from connections.sdk.capabilities import Cap
from connections.sdk.protocols import Session
from runs.engine import watermarks
from runs.engine.connecting import session
from runs.engine.events import WatermarkResolved
from runs.engine.plan import Plan
from runs.engine.source_query import base_query
from runs.engine.staging import dialect_of
from runs.engine.verify import sides
from runs.engine.verify import since as since_option
from runs.engine.verify.comparison import Comparison, Outcome
from runs.engine.verify.pace import Pace
from runs.engine.verify.side import Compared, Tables

# a sample of a table with an integer key is taken from so many places
_SAMPLES = 20
_SAMPLE_BUCKETS = 4096
# keys further apart have differences that 64 bits do not hold
_LONGEST = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The part of the rows that is compared: ranges of the key, or buckets of its hash."""

    ranges: tuple[tuple[int, int], ...] = ()
    buckets: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to compare: some columns only, rows since a watermark's value, about so many rows; empty: everything."""

    columns: tuple[str, ...] = ()
    since: str = ""
    sample: int = 0
    # the sample of an earlier comparison, instead of another one
    same: Sample | None = None
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The outcome, what was compared, and what is to be known about it."""

    outcome: Outcome
    compared: Compared
    warnings: tuple[str, ...]
    seconds: float
    # None when everything was compared
    sample: Sample | None = None


def verify(
    plan: Plan,
    options: Options,
    *,
    log: Callable[[str], None] = lambda text: None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Found:
    """Compare source and destination. Nothing is written anywhere.

    Raises TableMissing before the module's first run, and whatever connecting and reading raise.
    """
    started = time.monotonic()
    query = _query(plan)
    with ExitStack() as stack:
        with session(plan.destination, Cap.READ) as opened:
            tables = sides.describe(plan, query, opened)
            since = since_option.read(options.since, plan, opened, tables.info) if options.since else None
            chosen = sides.compared(plan, tables, options.columns, since)
            bounds = _bounds(plan, chosen, opened)
            sample = options.same or _sample(bounds, options.sample, _count(plan, opened) if options.sample else 0)
        both = sides.open_sides(plan, tables, chosen, since, stack)
        log(both.why)
        comparison = Comparison(both.source, both.destination, chosen, pace=options.pace, progress=progress)
        outcome = _compare(comparison, bounds, sample)
    warnings = tuple(_warnings(tables, outcome, chosen))
    seconds = time.monotonic() - started
    return Found(outcome=outcome, compared=chosen, warnings=warnings, seconds=seconds, sample=sample)


def _warnings(tables: Tables, outcome: Outcome, chosen: Compared) -> Iterator[str]:
    filled = {column.dest_name for column in tables.columns}
    if unfilled := [column.name for column in tables.info.columns if column.name not in filled]:
        yield (
            f"The destination has columns that the query does not fill; they are not compared: {', '.join(unfilled)}."
        )
    if chosen.one_per_key and chosen.latest_by is None:
        yield "The watermark has no order that every system agrees on: of several rows of a key any one is accepted."
    if chosen.partial:
        yield "Named watermarks bound the query: only rows that it returns now are verified, none is extra."
    if outcome.counts.changing:
        yield f"{outcome.counts.changing} keys kept changing while they were compared and are not counted."


def _query(plan: Plan) -> str:
    values: dict[str, str] = {}
    for event in watermarks.resolve_named(plan):
        if isinstance(event, WatermarkResolved):
            values[event.name] = event.value or ""
    return base_query(plan, values)


def _bounds(plan: Plan, chosen: Compared, opened: Session) -> tuple[int, int] | None:
    """Return the lowest key of the destination and one more than its highest; None where there are no ranges."""
    if chosen.range_column is None:
        return None
    dialect, name = dialect_of(plan), chosen.columns[chosen.range_column].dest_name
    # two queries, each answered by the end of an index
    low, high = (
        opened.fetch(f"SELECT {function}({dialect.quote(name)}) FROM {dialect.qualified(plan.dest_table)}")[0][0]
        for function in ("min", "max")
    )
    if low is None or not (_is_whole(low) and _is_whole(high)) or int(high) - int(low) > _LONGEST:
        return None
    return int(low), int(high) + 1


def _is_whole(value: Any) -> bool:
    """Whether it is an integer: numeric has NaN, and a column of SQLite holds what was written into it."""
    return isinstance(value, int | Decimal) and value == value and value % 1 == 0


def _count(plan: Plan, opened: Session) -> int:
    return int(opened.fetch(dialect_of(plan).count(plan.dest_table))[0][0])


def _compare(comparison: Comparison, bounds: tuple[int, int] | None, sample: Sample | None) -> Outcome:
    if sample is None:
        return comparison.table() if bounds is None else comparison.ranges([bounds], whole=True)
    if sample.buckets is not None:
        return comparison.table(sample.buckets, count=_SAMPLE_BUCKETS)
    return comparison.ranges(sample.ranges, whole=False)


def _sample(bounds: tuple[int, int] | None, wanted: int, present: int) -> Sample | None:
    """Choose about so many of the rows at random; None when all of them are wanted."""
    if not 0 < wanted < present:
        return None
    if bounds is None:
        number = max(1, wanted * _SAMPLE_BUCKETS // present)
        return Sample(buckets=frozenset(random.sample(range(_SAMPLE_BUCKETS), number)))
    return Sample(ranges=tuple(_sampled(*bounds, share=wanted / present)))


def _sampled(low: int, high: int, *, share: float) -> list[tuple[int, int]]:
    """Return ranges that make up a share of the keys, one at a random place in each of so many equal parts."""
    part = max(1, (high - low) // _SAMPLES)
    width = max(1, int(part * share))
    starts = (start + random.randrange(max(1, part - width)) for start in range(low, high, part))
    return [(start, min(start + width, high)) for start in starts if start < high]
