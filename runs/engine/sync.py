"""The steps of one attempt, in order: resolve, stage, transfer, publish, reconcile; before and after them the hooks.

Independent of Django and of the metadata database: it yields events, and the caller records them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TypeVar

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.errors import PipekitError
from connections.sdk.records import dataclass
from connections.sdk.schema import Column, ColumnInfo, TableInfo, TableName
from runs.engine import dry_run, jrunner_process
from runs.engine.destination import Destination
from runs.engine.events import (
    Event,
    MergeSqlBuilt,
    MethodChosen,
    Staged,
    StepEvents,
    StepFinished,
    StepStarted,
    Warned,
    WatermarkResolved,
    without_events,
)
from runs.engine.extract import bound_above_source
from runs.engine.extract.columns import columns_from_probe, with_destination_types
from runs.engine.extract.query import bounded_query, repair_query, resolved_query, source_query_event
from runs.engine.faults import point
from runs.engine.hooks import run_hooks
from runs.engine.jrunner_process import JrunnerProcess
from runs.engine.plan import Hook, Plan, RunOn
from runs.engine.publish import destination_table, method, staging, unfilled_columns
from runs.engine.publish.background_drop import dropping
from runs.engine.publish.method import ChosenMethod, PublishMethod
from runs.engine.publish.publish import publish_staged
from runs.engine.publish.restore import restore_previous
from runs.engine.publish.staging import StagedRows
from runs.engine.reconcile import delete_extra, key_sync
from runs.engine.sessions import open_session
from runs.engine.transfer import build_job, transfer_rows
from runs.engine.watermarks import bounds
from runs.engine.watermarks.types import check_watermark_types
from runs.engine.watermarks.warnings import future_warnings, implied_warnings
from runs.jrunner.job import Job

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The result of step one: the query with its named watermarks, its columns at the source, the bound.

    ``dest`` is the destination, whose session is open until the end of step two; ``table`` the destination table if it
    exists.
    """

    dest: Destination
    query: str
    probed: tuple[ColumnInfo, ...]
    bound: bounds.Bound | None
    table: TableInfo | None
    method: ChosenMethod


class RunStopped(Exception):
    """The run failed, but it was cancelled, finalized or deleted before: its process executes nothing more of it."""


def execute_plan(plan: Plan, *, must_stop: Callable[[], bool] = lambda: False) -> Generator[Event, None, None]:
    """Execute the plan, yielding events.

    Raises a PipekitError on any failure, and any other exception for an error of Pipekit itself, after the failure
    hooks; the destination is then unchanged, unless a Published event was yielded before (a failed key_sync or hook
    does not undo the publish). ``must_stop`` returns whether the run was cancelled, finalized or deleted; a failure
    then raises RunStopped from the error, without the failure hooks.
    """
    try:
        yield from attempt(plan)
    except Exception as error:
        yield from after_failure(plan, error, must_stop=must_stop)
        raise
    yield from after_success(plan)


def attempt(plan: Plan) -> Iterator[Event]:
    """Execute the plan once, without the hooks that depend on the final result of all attempts."""
    if plan.dry_run:
        with ExitStack() as sessions:
            resolved = yield from _timed("resolve", _resolve(plan, sessions))
        yield from dry_run.build(plan, resolved.query, resolved.bound, resolved.table, resolved.method)
        return
    if plan.restore:
        yield from _timed("publish", restore_previous(plan))
        return
    yield from run_hooks(plan.hooks, RunOn.BEFORE)
    with jrunner_process.started(plan) as process:
        # closed before the transfer, because some systems allow only one process at a time
        with ExitStack() as sessions:
            resolved = yield from _timed("resolve", _resolve(plan, sessions))
            transfer_job, staged, former = yield from _timed("stage", _stage(plan, resolved))
        with dropping(plan, former) as errors:
            rows = yield from _timed("transfer", _transfer(plan, transfer_job, process))
    if errors and staged.method.exchanges:
        # the names of its indexes are needed
        raise errors[0]
    yield from (Warned(f"A staging table of an earlier run was not dropped: {error}") for error in errors)
    staged = replace(staged, rows=rows)
    yield from _timed("publish", publish_staged(plan, staged))
    yield from _after_publish(plan, resolved.query, staged)
    if not rows:
        # checked last, because key_sync may have removed the row with the highest value
        yield from map(Warned, bound_above_source.warnings(plan, resolved.query, resolved.bound, staged.columns))


def resume(plan: Plan, *, succeeded: Collection[int]) -> Iterator[Event]:
    """Execute the steps after the publish, which an earlier attempt committed.

    ``succeeded`` are the numbers of the hooks that earlier attempts have executed.
    """
    # its staging is the list of keys to keep: every row of the repaired part would seem to be extra
    assert plan.repair is None, "a repair is not retried"
    if not plan.key_sync or not plan.supports_deletes:
        yield from _success_hooks(plan, succeeded)
        return
    # an earlier attempt has yielded these events
    with ExitStack() as sessions:
        resolved = without_events(_resolve(plan, sessions))
        columns, _, _ = _columns(plan, resolved)
        # the table of keys is under the claim on staging
        staging.claim(resolved.dest)
    yield from _after_publish(plan, resolved.query, StagedRows(columns=columns, rows=0), succeeded)


def _after_publish(plan: Plan, query: str, staged: StagedRows, succeeded: Collection[int] = ()) -> Iterator[Event]:
    if delete_extra.deletes(plan):
        yield from _timed("reconcile", delete_extra.delete_extra_rows(plan, staged))
    if plan.key_sync and plan.supports_deletes:
        yield from _timed("reconcile", key_sync.reconcile(plan, query, staged.columns))
    yield from _success_hooks(plan, succeeded)


def _success_hooks(plan: Plan, succeeded: Collection[int]) -> Iterator[Event]:
    yield from _timed("hooks", run_hooks(plan.hooks, RunOn.SUCCESS, published=True, succeeded=succeeded))


def after_success(plan: Plan) -> Iterator[Event]:
    """Run the hooks for any result, after the last attempt succeeded."""
    if not plan.dry_run:
        yield from run_hooks(plan.hooks, RunOn.ALWAYS, published=True)
        point("run.done")


def after_failure(plan: Plan, error: Exception, *, must_stop: Callable[[], bool]) -> Iterator[Event]:
    """Run the failure hooks, except in a dry run. Raises RunStopped from the error if the run must stop."""
    if must_stop():
        raise RunStopped from error
    if not plan.dry_run:
        yield from failure_hooks(plan.hooks)


def failure_hooks(planned: Sequence[Hook | None]) -> Iterator[Event]:
    """Run the hooks for a failure. Their own errors become warnings, so that they do not hide the run's error."""
    try:
        yield from run_hooks(planned, RunOn.FAILURE, RunOn.ALWAYS)
    except PipekitError as error:
        yield Warned(error.message)
    except Exception as error:
        yield Warned(f"A failure hook failed: {type(error).__name__}: {error}")


def _timed(step: str, work: StepEvents[T]) -> StepEvents[T]:
    started = time.monotonic()
    yield StepStarted(step)
    point(f"{step}.started")
    result = yield from work
    point(f"{step}.finished")
    yield StepFinished(step, time.monotonic() - started)
    return result


def _resolve(plan: Plan, sessions: ExitStack) -> StepEvents[Resolved]:
    """Describe what is read, and open a session at the destination, which ``sessions`` closes."""
    query = yield from resolved_query(plan)
    # before the destination is opened, which may be the same file
    probed = () if plan.dry_run else _describe_query(plan, query)
    dest = sessions.enter_context(Destination.open(plan))
    table = dest.describe(dest.table)
    chosen = method.choose(dest, table)
    yield from map(Warned, destination_table.check(dest, table, chosen.method))
    bound = None
    if plan.watermark and plan.repair is None:
        bound = bounds.highest(dest, table)
        yield WatermarkResolved(plan.watermark, bound.value)
        if plan.dry_run:
            # a run that publishes warns about the highest value after the publish instead
            yield from map(Warned, future_warnings(dest, bound.value))
    return Resolved(dest=dest, query=query, probed=probed, bound=bound, table=table, method=chosen)


def _describe_query(plan: Plan, query: str) -> tuple[ColumnInfo, ...]:
    introspector = registry.connector(plan.source.kind, Cap.READ).introspector
    with open_session(plan.source, Cap.READ) as session:
        return introspector.describe_query(session, query)


def _columns(plan: Plan, resolved: Resolved) -> tuple[tuple[Column, ...], str, list[str]]:
    """Return the columns with their destination types, the query to execute, and warnings."""
    untyped = columns_from_probe(plan, resolved.query, resolved.probed)
    query = repair_query(plan, bounded_query(plan, resolved.query, resolved.bound, untyped), untyped)
    columns, warnings = with_destination_types(resolved.dest, untyped, resolved.table)
    return columns, query, warnings


def _stage(plan: Plan, resolved: Resolved) -> StepEvents[tuple[Job, StagedRows, TableName | None]]:
    """Prepare the staging table; return the job that fills it, what is known of its rows, and a table to be dropped."""
    dest, table = resolved.dest, resolved.table
    columns, query, warnings = _columns(plan, resolved)
    yield source_query_event(plan, resolved.query, query)
    if plan.watermark:
        check_watermark_types(dest, columns)
    destination_table.check_columns(plan, table, columns)
    warnings += unfilled_columns.warnings(dest, table, columns)
    warnings += implied_warnings(plan, table, columns)
    staging.claim(dest)
    if sql := staging.create_schema_beside(dest, resolved.method):
        yield MergeSqlBuilt(f"{sql};", is_committed=True)
    prepared = staging.prepare(dest, columns, table, resolved.method)
    chosen = prepared.method
    if chosen.why or chosen.method is not PublishMethod.MERGE:
        yield MethodChosen(chosen.method, chosen.why)
    yield from map(Warned, warnings)
    staged = StagedRows(
        columns=columns,
        rows=0,
        table=dest.staging,
        table_kind=table.kind if table else "",
        method=chosen,
        created=prepared.created,
        bound=resolved.bound,
    )
    work = build_job(
        plan,
        query=query,
        table=dest.staging,
        columns=columns,
        typed=prepared.typed,
        claim=dest.staging_claim(),
        # keep_latest deletes rows of a new table afterwards, which older snapshots would still see
        freeze=chosen.exchanges and not (table is None and plan.keep_latest),
    )
    return work, staged, prepared.former


def _transfer(plan: Plan, transfer_job: Job, process: JrunnerProcess) -> StepEvents[int]:
    rows = 0
    for event in transfer_rows(plan, transfer_job, process):
        if isinstance(event, Staged):
            rows = event.rows
        yield event
    return rows
