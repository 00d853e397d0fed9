"""Verifies one module: compares the rows that its query returns, or a part of them, with the destination, exactly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import field
from decimal import Decimal
from typing import Any

from connections.sdk.capabilities import Cap
from connections.sdk.errors import ColumnMissing, ConfigurationInvalid, PipekitError
from connections.sdk.formatting import counted
from connections.sdk.records import dataclass
from runs.engine.destination import Destination
from runs.engine.events import without_events
from runs.engine.extract.query import resolved_query
from runs.engine.plan import Plan
from runs.engine.sessions import open_session
from runs.engine.verify import open_sides
from runs.engine.verify.comparison import Comparison
from runs.engine.verify.equal_keys import KeyMatcher
from runs.engine.verify.inexact_key_columns import inexact_key_columns
from runs.engine.verify.pace import Pace
from runs.engine.verify.result import ComparisonResult
from runs.engine.verify.samples import Sample, choose_sample
from runs.engine.verify.side import ComparisonSpec, QueryAndTable
from runs.engine.verify.since import Since, parse_since

# the widest range of keys whose differences fit into 64 bits
_MAX_SPAN = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to compare: some columns, rows since a watermark's value, a sample of about so many rows; empty: all."""

    columns: tuple[str, ...] = ()
    since: str = ""
    sample: int = 0
    # the sample of an earlier comparison, instead of a new one
    same: Sample | None = None
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationResult:
    """The result of a verification: of its comparison, what was compared, and warnings."""

    comparison: ComparisonResult
    spec: ComparisonSpec
    warnings: tuple[str, ...]
    seconds: float
    # None if all rows were compared
    sample: Sample | None = None
    # the value that --since was resolved to
    since: Since | None = None


def verify_module(
    plan: Plan,
    options: Options,
    *,
    log: Callable[[str], None] = lambda text: None,
    progress: Callable[[int], None] = lambda rows: None,
) -> VerificationResult:
    """Compare source and destination; nothing is written anywhere.

    ``log`` is called with lines for the log, ``progress`` with the number of source rows compared so far. Raises
    TableMissing before the module's first run, and the errors of connecting and reading.
    """
    started = time.monotonic()
    query = without_events(resolved_query(plan))
    with ExitStack() as stack:
        with open_session(plan.destination, Cap.READ) as session:
            dest = Destination(plan, session)
            described = open_sides.describe(dest, query)
            since = parse_since(options.since, dest, described.info) if options.since else None
            spec = open_sides.comparison_spec(plan, described, options.columns, since)
            inexact = inexact_key_columns(plan, spec.key_columns, session) if spec.key else {}
            key_range = _key_range(dest, spec)
            sample = options.same or (_sample(dest, options, spec, since, log) if options.sample else None)
        both = open_sides.open_sides(plan, described, spec, since, stack)
        log(both.why)
        comparison = Comparison(
            both.source,
            both.destination,
            spec,
            pace=options.pace,
            progress=progress,
            key_matcher=KeyMatcher(plan, spec, inexact=inexact, pace=options.pace),
        )
        with comparison:
            result = _compare(comparison, key_range, sample)
    warnings = tuple(_warnings(described, result, spec, is_part=bool(options.since or sample)))
    seconds = time.monotonic() - started
    return VerificationResult(
        comparison=result, spec=spec, warnings=warnings, seconds=seconds, sample=sample, since=since
    )


def invalid_option(plan: Plan, options: Options) -> PipekitError | None:
    """Return why ``columns`` or ``since`` does not fit the module; None if they fit, or if that cannot be determined.

    An error that has other causes is not returned: the verification itself reports it.
    """
    try:
        with open_session(plan.destination, Cap.READ) as session:
            dest = Destination(plan, session)
            described = open_sides.describe(dest, without_events(resolved_query(plan)))
            try:
                since = parse_since(options.since, dest, described.info) if options.since else None
                open_sides.comparison_spec(plan, described, options.columns, since)
            except (ColumnMissing, ConfigurationInvalid) as error:
                return error
    except PipekitError:
        pass
    return None


def _warnings(
    described: QueryAndTable, result: ComparisonResult, spec: ComparisonSpec, *, is_part: bool
) -> Iterator[str]:
    filled = {column.dest_name for column in described.columns}
    if unfilled := [column.name for column in described.info.columns if column.name not in filled]:
        yield (
            f"The destination has columns that the query does not fill; they are not compared: {', '.join(unfilled)}."
        )
    if spec.one_per_key and spec.latest_by is None:
        yield "Systems order the watermark's values differently, so any one of several rows with one key is accepted."
    if spec.partial:
        yield "Named watermarks bound the query: only rows that it returns now are verified, none is extra."
    if not result.source_rows and not result.dest_rows:
        yield f"No row was compared: neither side has any{' of the selected rows' if is_part else ''}."
    if result.respelled:
        yield (
            "Different rows whose keys the destination considers equal but spells differently:"
            f" {result.respelled:,}. Their other columns were not compared. A repair by key does not change the"
            " spelling."
        )
    if result.unpaired:
        yield (
            "Too many rows are missing or extra to look for keys that the destination considers equal but spells"
            " differently: such rows may be counted as missing and extra."
        )
    if result.counts.changing:
        yield (
            f"{counted(result.counts.changing, 'key')} differed only in the last read and could not be read again;"
            " they are not counted, because they were equal before."
        )


def _key_range(dest: Destination, spec: ComparisonSpec, since: Since | None = None) -> tuple[int, int] | None:
    """Return the lowest key of the destination and one more than its highest; None if there are no ranges.

    With ``since``, only its rows count.
    """
    if spec.range_column is None:
        return None
    name, selected = spec.columns[spec.range_column].dest_name, _selected(dest, since)
    # two queries, each of which reads one end of an index
    low, high = (
        dest.session.fetch(f"SELECT {function}({dest.dialect.quote(name)}) FROM {selected}")[0][0]
        for function in ("min", "max")
    )
    if low is None or not (_is_whole(low) and _is_whole(high)) or int(high) - int(low) > _MAX_SPAN:
        return None
    return int(low), int(high) + 1


def _selected(dest: Destination, since: Since | None) -> str:
    """Return the destination table with the condition of ``since``, for the FROM clause of a query."""
    table = dest.dialect.qualified(dest.table)
    return f"{table} WHERE {since.condition(dest.dialect.quote(since.column), dest.dialect)}" if since else table


def _is_whole(value: Any) -> bool:
    """Return whether it is an integer: numeric also has NaN, and a column of SQLite may contain any type."""
    return isinstance(value, int | Decimal) and value == value and value % 1 == 0


def _sample(
    dest: Destination, options: Options, spec: ComparisonSpec, since: Since | None, log: Callable[[str], None]
) -> Sample | None:
    """Return a sample of the rows that ``since`` selects; None if all of them are to be compared."""
    present = dest.fetch_int(f"SELECT count(*) FROM {_selected(dest, since)}")
    key_range = _key_range(dest, spec, since)
    sample = choose_sample(key_range, options.sample, present, per_second=options.pace.per_second)
    if sample is None:
        log(f"comparing all {counted(present)}: no more work than a sample of {options.sample:,}")
    return sample


def _compare(comparison: Comparison, key_range: tuple[int, int] | None, sample: Sample | None) -> ComparisonResult:
    if sample is None:
        return comparison.compare_table() if key_range is None else comparison.compare_ranges([key_range], whole=True)
    if sample.buckets is not None:
        return comparison.compare_table(sample.buckets, count=sample.bucket_count)
    return comparison.compare_ranges(sample.ranges, whole=False)
