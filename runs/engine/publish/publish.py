"""Step four, publish: brings the staged rows into the destination table in one transaction.

Before it, staging is made ready; after its commit, the planner's statistics are updated.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from connections.sdk.errors import ConfigurationError, DiskFull, PipekitError
from runs.engine.destination import Destination
from runs.engine.events import (
    Event,
    MergeSqlBuilt,
    MethodChosen,
    TransactionEvents,
    Unconfirmed,
    Warned,
)
from runs.engine.faults import point
from runs.engine.plan import Plan
from runs.engine.publish import exchange
from runs.engine.publish.after_commit import after_commit, release_after_failure
from runs.engine.publish.commit import Commit, CommitKind, CommitUnknown, publish_transaction
from runs.engine.publish.method import PublishMethod
from runs.engine.publish.staging import StagedRows
from runs.engine.publish.transaction import PublishTransaction
from runs.engine.watermarks.highest import after_publish
from runs.engine.watermarks.warnings import count_before_transaction


def publish_staged(plan: Plan, staged: StagedRows) -> Generator[Event, None, None]:
    """Publish the staged rows, yielding events, among them Published. An error leaves the table unchanged.

    What follows the commit, such as updating the planner's statistics, cannot fail: its errors are warnings.
    """
    # yielded only after COMMIT, so that the caller cannot keep the transaction open
    events: TransactionEvents = []
    try:
        with Destination.open(plan) as dest:
            dest.staging = staged.table or dest.staging
            if sql := dest.create_schema(dest.table.schema):
                events.append(MergeSqlBuilt(f"{sql};", is_committed=True))
            with release_after_failure(dest, staged):
                staged, prepared = _prepare(dest, staged, events)
                try:
                    commit, method = _transact(dest, staged, prepared, events)
                except exchange.ExchangeFailed as error:
                    staged = _without_exchange(dest, staged, events, f"that failed: {error.message}")
                    commit, method = _transact(dest, staged, (), events)
            if not commit.result.recovered:
                point("publish.after_commit")
            # none if an earlier attempt has executed the transaction
            yield from events
            yield commit.result
            if not commit.result.recovered:
                yield from map(Warned, after_commit(dest, staged, method, commit.result))
    except CommitUnknown:
        yield Unconfirmed(tuple(events))
        raise
    except PipekitError:
        yield from (event for event in events if isinstance(event, MergeSqlBuilt))
        raise


def _transact(
    dest: Destination, staged: StagedRows, prepared: Sequence[str], events: TransactionEvents
) -> tuple[Commit, PublishMethod]:
    """Execute the publish transaction; return what it committed, and the method. A failed one leaves no events."""
    plan, before = dest.plan, len(events)
    watermark_counts = count_before_transaction(dest, staged.columns)
    # keep_latest removes rows within the transaction
    highest = None if plan.keep_latest else after_publish(dest, staged.bound, rows=staged.rows)
    transaction = PublishTransaction(dest, staged, watermark_counts, highest, events)
    try:
        with publish_transaction(dest, CommitKind.PUBLISH) as commit:
            if commit.published is None:
                commit.published = transaction.apply(prepared)
    except exchange.ExchangeFailed:
        del events[before:]
        raise
    return commit, transaction.method


def _without_exchange(dest: Destination, staged: StagedRows, events: TransactionEvents, reason: str) -> StagedRows:
    chosen = exchange.chosen_instead(dest, dest.describe(dest.table), (reason,))
    events.append(MethodChosen(chosen.method, chosen.why))
    return replace(staged, method=chosen)


def _prepare(dest: Destination, staged: StagedRows, events: TransactionEvents) -> tuple[StagedRows, tuple[str, ...]]:
    """Make staging ready to be published; return what it then has, and the statements that made it."""
    if staged.method.exchanges:
        try:
            staged, completed = exchange.complete(dest, staged)
        except (ConfigurationError, DiskFull) as error:
            # of a table in its place; without it the run fails only if it cannot copy rows either
            reason = f"staging could not be completed: {error.message}"
            staged = _without_exchange(dest, staged, events, reason)
        else:
            return staged, (*staged.created, *completed)
    sql = dest.dialect.analyze(dest.staging)
    # a full refresh has no joins
    if sql and not dest.plan.strategy.traits.replaces_all:
        dest.session.execute(sql)
    return staged, ()
