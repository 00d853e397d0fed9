"""Verify one module: is every row that its query returns in the destination, exactly, and no other?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from connections.sdk.capabilities import Cap
from connections.sdk.protocols import Session
from runs.engine.connecting import open_session
from runs.engine.events import WatermarkResolved
from runs.engine.extract.query import base_query
from runs.engine.plan import Plan
from runs.engine.plurals import counted
from runs.engine.publish.staging import dialect_of
from runs.engine.verify import sides
from runs.engine.verify import since as since_option
from runs.engine.verify.comparison import Comparison
from runs.engine.verify.equal_keys import EqualKeys
from runs.engine.verify.loose_columns import loose_columns
from runs.engine.verify.outcome import Outcome
from runs.engine.verify.pace import Pace
from runs.engine.verify.samples import Sample, choose
from runs.engine.verify.side import Compared, Tables
from runs.engine.watermarks import bounds as watermarks

# keys further apart have differences that 64 bits do not hold
_LONGEST = 2**62


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
    # the value that --since came to
    since: since_option.Since | None = None


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
        with open_session(plan.destination, Cap.READ) as session:
            tables = sides.describe(plan, query, session)
            since = since_option.read(options.since, plan, session, tables.info) if options.since else None
            chosen = sides.compared(plan, tables, options.columns, since)
            loose = loose_columns(plan, chosen.key_columns, session) if chosen.key else {}
            bounds = _bounds(plan, chosen, session)
            sample = options.same or (_sample(plan, options, bounds, session, log) if options.sample else None)
        both = sides.open_sides(plan, tables, chosen, since, stack)
        log(both.why)
        comparison = Comparison(
            both.source,
            both.destination,
            chosen,
            pace=options.pace,
            progress=progress,
            equal_keys=EqualKeys(plan, chosen, loose=loose, pace=options.pace),
        )
        outcome = _compare(comparison, bounds, sample)
    warnings = tuple(_warnings(tables, outcome, chosen, is_part=bool(options.since or sample)))
    seconds = time.monotonic() - started
    return Found(outcome=outcome, compared=chosen, warnings=warnings, seconds=seconds, sample=sample, since=since)


def _warnings(tables: Tables, outcome: Outcome, chosen: Compared, *, is_part: bool) -> Iterator[str]:
    filled = {column.dest_name for column in tables.columns}
    if unfilled := [column.name for column in tables.info.columns if column.name not in filled]:
        yield (
            f"The destination has columns that the query does not fill; they are not compared: {', '.join(unfilled)}."
        )
    if chosen.one_per_key and chosen.latest_by is None:
        yield "The watermark has no order that every system agrees on: of several rows of a key any one is accepted."
    if chosen.partial:
        yield "Named watermarks bound the query: only rows that it returns now are verified, none is extra."
    if not outcome.source_rows and not outcome.dest_rows:
        yield f"No row was compared: neither side has any{' of those that were asked for' if is_part else ''}."
    if outcome.respelled:
        yield (
            f"{counted(outcome.respelled)} of those that differ have keys that the destination calls equal and spells"
            " differently; their other columns were not compared. A repair by key leaves the spelling as it is."
        )
    if outcome.unpaired:
        yield (
            "Too many rows are missing or extra to look for keys that the destination calls equal and spells"
            " differently: such rows may be counted as missing and extra."
        )
    if outcome.counts.changing:
        yield (
            f"{counted(outcome.counts.changing, 'key')} began to differ while the rows were read for the last time and"
            " could not be read again; not counted, for before that they were equal."
        )


def _query(plan: Plan) -> str:
    values: dict[str, str] = {}
    for event in watermarks.resolve_named(plan):
        if isinstance(event, WatermarkResolved):
            values[event.name] = event.value or ""
    return base_query(plan, values)


def _bounds(plan: Plan, chosen: Compared, session: Session) -> tuple[int, int] | None:
    """Return the lowest key of the destination and one more than its highest; None where there are no ranges."""
    if chosen.range_column is None:
        return None
    dialect, name = dialect_of(plan), chosen.columns[chosen.range_column].dest_name
    # two queries, each answered by the end of an index
    low, high = (
        session.fetch(f"SELECT {function}({dialect.quote(name)}) FROM {dialect.qualified(plan.dest_table)}")[0][0]
        for function in ("min", "max")
    )
    if low is None or not (_is_whole(low) and _is_whole(high)) or int(high) - int(low) > _LONGEST:
        return None
    return int(low), int(high) + 1


def _is_whole(value: Any) -> bool:
    """Whether it is an integer: numeric has NaN, and a column of SQLite holds what was written into it."""
    return isinstance(value, int | Decimal) and value == value and value % 1 == 0


def _count(plan: Plan, session: Session) -> int:
    return int(session.fetch(dialect_of(plan).count(plan.dest_table))[0][0])


def _sample(
    plan: Plan, options: Options, bounds: tuple[int, int] | None, session: Session, log: Callable[[str], None]
) -> Sample | None:
    present = _count(plan, session)
    sample = choose(bounds, options.sample, present, per_second=options.pace.per_second)
    if sample is None:
        log(f"comparing all {counted(present)}: no more work than a sample of {options.sample:,}")
    return sample


def _compare(comparison: Comparison, bounds: tuple[int, int] | None, sample: Sample | None) -> Outcome:
    if sample is None:
        return comparison.table() if bounds is None else comparison.ranges([bounds], whole=True)
    if sample.buckets is not None:
        return comparison.table(sample.buckets, count=sample.bucket_count)
    return comparison.ranges(sample.ranges, whole=False)
