"""Executes one run of a plan: resolve, stage, transfer, publish, reconcile, hooks.

Independent of Django and of the metadata database: it yields events, and the caller records them.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.errors import PipekitError
from connections.sdk.schema import Column, TableInfo
from connections.sdk.visible_text import one_line
from runs.engine import hooks
from runs.engine.checks import Staging
from runs.engine.destination import open_destination
from runs.engine.events import (
    Event,
    MergeSqlBuilt,
    SourceQueryBuilt,
    Staged,
    StepFinished,
    StepStarted,
    Warned,
    WatermarkResolved,
)
from runs.engine.extract import columns as column_choice
from runs.engine.extract.probe import probe
from runs.engine.extract.query import base_query, bounded_query, repair_query
from runs.engine.faults import point
from runs.engine.plan import Plan, RunOn
from runs.engine.publish import destination_table, key_sync, repair, staging, unfilled_columns
from runs.engine.publish.publish import STRATEGIES, all_statements, describe, publish
from runs.engine.sessions import open_session
from runs.engine.transfer import Transfer, transfer
from runs.engine.watermarks import above_source, bounds
from runs.engine.watermarks.types import check_watermark_types
from runs.engine.watermarks.warnings import future_warnings, implied_warnings

T = TypeVar("T")
Step = Generator[Event, None, T]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The result of step one: the query with its named watermarks, the bound, the destination table if it exists."""

    query: str
    bound: bounds.Bound | None
    table: TableInfo | None


def run(plan: Plan) -> Generator[Event, None, None]:
    """Execute the plan, yielding events.

    Raises a PipekitError on any failure, after the failure hooks; the destination is then unchanged, unless a Published
    event was yielded before (a failed key_sync or hook does not undo the publish).
    """
    try:
        yield from attempt(plan)
    except PipekitError:
        yield from after_failure(plan)
        raise
    yield from after_success(plan)


def attempt(plan: Plan) -> Iterator[Event]:
    """Execute the plan once, without the hooks that depend on the final result of all attempts."""
    if plan.dry_run:
        yield from dry_run(plan)
        return
    yield from hooks.run(plan, RunOn.BEFORE)
    resolved = yield from _timed("resolve", _resolve(plan))
    columns, query = yield from _timed("stage", _stage(plan, resolved))
    rows = yield from _timed("transfer", _transfer(plan, query, columns))
    staged = Staging(columns=columns, rows=rows, existed=resolved.table is not None)
    yield from _timed("publish", publish(plan, staged))
    yield from _after_publish(plan, resolved, staged)
    if not rows:
        # checked last, because key_sync may have removed the row with the highest value
        yield from map(Warned, above_source.warnings(plan, resolved.query, resolved.bound, columns))


def resume(plan: Plan) -> Iterator[Event]:
    """Execute the steps after the publish, which an earlier attempt committed. Staging is recreated, empty."""
    repair.check_resume(plan)
    if not plan.key_sync or not plan.supports_deletes:
        yield from _timed("hooks", hooks.run(plan, RunOn.SUCCESS))
        return
    resolved = _without_events(_resolve(plan))
    columns, _ = _without_events(_stage(plan, resolved))
    yield from _after_publish(plan, resolved, Staging(columns=columns, rows=0))


def _after_publish(plan: Plan, resolved: Resolved, staged: Staging) -> Iterator[Event]:
    if repair.deletes(plan):
        yield from _timed("reconcile", repair.delete_extra(plan, staged))
    if plan.key_sync and plan.supports_deletes:
        yield from _timed("reconcile", key_sync.reconcile(plan, resolved.query, staged.columns))
    yield from _timed("hooks", hooks.run(plan, RunOn.SUCCESS))


def after_success(plan: Plan) -> Iterator[Event]:
    """Run the hooks for any result, after the last attempt succeeded."""
    if not plan.dry_run:
        yield from hooks.run(plan, RunOn.ALWAYS)
        point("run.done")


def after_failure(plan: Plan) -> Iterator[Event]:
    """Run the failure hooks. Their own errors become warnings, so that they do not hide the run's error."""
    if plan.dry_run:
        return
    try:
        yield from hooks.run(plan, RunOn.FAILURE, RunOn.ALWAYS)
    except PipekitError as error:
        yield Warned(error.message)


def _without_events(work: Step[T]) -> T:
    """Execute a step whose events an earlier attempt has yielded; return its result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


def _timed(step: str, work: Step[T]) -> Step[T]:
    started = time.monotonic()
    yield StepStarted(step)
    point(f"{step}.started")
    result = yield from work
    point(f"{step}.finished")
    yield StepFinished(step, time.monotonic() - started)
    return result


def _resolve(plan: Plan) -> Step[Resolved]:
    values: dict[str, str] = {}
    for event in bounds.resolve_named(plan):
        if isinstance(event, WatermarkResolved):
            values[event.name] = event.value or ""
        yield event
    query = base_query(plan, values)
    connector = registry.connector(plan.destination.kind, Cap.WRITE)
    with open_destination(plan) as session:
        table = connector.introspector.describe_table(session, plan.dest_table)
        yield from map(Warned, destination_table.check(session, plan, table))
        bound = None
        if plan.watermark and plan.repair is None:
            bound = bounds.highest(session, staging.dialect_of(plan), table, plan.watermark)
            yield WatermarkResolved(plan.watermark, bound.value)
            if plan.dry_run:
                # a run that publishes warns about the highest value after the publish instead
                yield from map(Warned, future_warnings(session, plan, bound.value))
    return Resolved(query=query, bound=bound, table=table)


def _stage(plan: Plan, resolved: Resolved) -> Step[tuple[tuple[Column, ...], str]]:
    """Describe the query's columns, build the query for the source, and prepare the staging table."""
    introspector = registry.connector(plan.source.kind, Cap.READ).introspector
    with open_session(plan.source, Cap.READ) as session:
        probed = introspector.describe_query(session, resolved.query)
    untyped = column_choice.from_probe(plan, resolved.query, probed)
    query = repair_query(plan, bounded_query(plan, resolved.query, resolved.bound, untyped), untyped)
    yield SourceQueryBuilt(query)
    with open_destination(plan) as session:
        has_type = registry.connector(plan.destination.kind).introspector.has_type
        columns, warnings = column_choice.with_destination_types(
            plan, untyped, resolved.table, lambda name: has_type(session, name)
        )
        if plan.watermark:
            check_watermark_types(plan, session, columns)
        destination_table.check_columns(plan, resolved.table, columns)
        warnings += unfilled_columns.warnings(session, plan, resolved.table, columns)
        warnings += implied_warnings(plan, resolved.table, columns)
        staging.prepare(session, plan, columns)
    yield from map(Warned, warnings)
    return columns, query


def _transfer(plan: Plan, query: str, columns: Sequence[Column]) -> Step[int]:
    table = staging.dialect_of(plan).staging_table(plan.module)
    rows = 0
    for event in transfer(plan, Transfer(query=query, table=table, columns=columns)):
        if isinstance(event, Staged):
            rows = event.rows
        yield event
    return rows


def dry_run(plan: Plan) -> Iterator[Event]:
    """Resolve the watermarks and build the source query and the merge SQL.

    Nothing is written anywhere. If the source cannot be reached, that is only a warning.
    """
    resolved = yield from _timed("resolve", _resolve(plan))
    probed = yield from probe(plan, resolved.query)
    if probed:
        columns = column_choice.from_probe(plan, resolved.query, probed)
    else:
        columns = column_choice.without_probe(plan, resolved.query, resolved.table)
    yield SourceQueryBuilt(bounded_query(plan, resolved.query, resolved.bound, columns))
    if not columns:
        yield Warned(
            "The merge SQL is not known before the first run: the query is SELECT * and there is no table yet."
        )
        return
    column_choice.check_known(plan, columns, resolved.table)
    destination_table.check_columns(plan, resolved.table, columns)
    yield from map(Warned, unfilled_columns.reset_by_incremental(plan, resolved.table, columns))
    yield from map(Warned, implied_warnings(plan, resolved.table, columns))
    yield from _dry_publish(plan, columns, resolved.table, has_types=bool(probed))


def _dry_publish(plan: Plan, columns: Sequence[Column], table: TableInfo | None, *, has_types: bool) -> Iterator[Event]:
    """Build the publish statements; for a new table also those that create it, if the source's types are known."""
    if table is not None or not has_types:
        statements = STRATEGIES[plan.strategy](describe(plan, columns, table, null_keys=False))
    else:
        has_type = registry.connector(plan.destination.kind).introspector.has_type
        with open_destination(plan) as session:
            columns, warnings = column_choice.with_destination_types(
                plan, columns, None, lambda name: has_type(session, name)
            )
            publication = describe(plan, columns, None, null_keys=False)
            statements = all_statements(session, plan, columns, None, publication)
        yield from map(Warned, warnings)
    sql = ";\n\n".join(statement.sql for statement in statements) + ";"
    if table is None and not has_types:
        name = one_line(str(plan.dest_table))
        sql = f"-- {name} does not exist; the first run creates it, with the source's types.\n\n{sql}"
    yield MergeSqlBuilt(sql)
