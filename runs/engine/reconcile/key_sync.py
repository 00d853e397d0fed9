"""Step five, reconcile (key_sync): deletes rows of the destination whose key no longer exists at the source.

All keys are read from the source after the publish. Nothing is deleted if that read fails or returns no keys, if keys
are NULL, or if more than max_delete_share of the rows would be deleted. The delete is one transaction with its own
commit record.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from connections import registry
from connections.sdk.errors import ConfigurationInvalid, CountMismatch, NullKeys, Refused
from connections.sdk.schema import Column, TableName
from connections.sdk.sql.foreign_keys import Deletion
from modules.query.placeholders import find_placeholders
from modules.query.rewrite import select_columns
from runs.engine.destination import Destination
from runs.engine.events import (
    Event,
    Published,
    Reconciled,
    Staged,
    TransactionEvents,
    Unconfirmed,
    Warned,
)
from runs.engine.faults import point
from runs.engine.plan import Plan
from runs.engine.publish.commit import CommitKind, CommitUnknown, publish_transaction
from runs.engine.publish.staging import make_empty
from runs.engine.reconcile import key_order
from runs.engine.reconcile.counted_delete import CountedDelete
from runs.engine.transfer import build_job, transfer_rows


def reconcile(plan: Plan, base_query: str, columns: Sequence[Column]) -> Generator[Event, None, None]:
    """Delete the rows that the source no longer has, yielding events; the last one is Reconciled."""
    keys = tuple(next(c for c in columns if c.dest_name == name) for name in plan.merge_key)
    with Destination.open(plan) as dest:
        table = dest.dialect.keys_table(plan.module)
        typed = make_empty(dest, table, keys)
        claim = dest.staging_claim()
    query, read = key_query(plan, base_query, keys), 0
    columns, warning = key_order.in_order(plan, keys)
    if warning:
        yield Warned(warning)
    # the types of a key_sync_query's columns are not those of the module's query
    typed = typed and not plan.key_sync_query
    for event in transfer_rows(
        plan, build_job(plan, query=query, table=table, columns=columns, typed=typed, claim=claim)
    ):
        if isinstance(event, Staged):
            read = event.rows
        elif isinstance(event, Warned):
            yield event
    point("reconcile.keys_read")
    yield from _delete(plan, table, read)


def key_query(plan: Plan, base_query: str, keys: Sequence[Column]) -> str:
    """Return the user's key query, or the base query reduced to its key columns.

    Raises ConfigurationInvalid when the base query depends on a named watermark: it may not return every key.
    """
    if plan.key_sync_query:
        return plan.key_sync_query
    dialect = registry.dialect(plan.source.kind)
    if find_placeholders(plan.source_query, dialect):
        raise ConfigurationInvalid(
            f"key_sync of {plan.module} cannot derive its keys: the query is bounded by a named watermark.",
            hint="Write a key_sync_query that returns every key of the source.",
        )
    names = {key.dest_name: key.source_name for key in keys}
    return select_columns(base_query, dialect, names)


def _delete(plan: Plan, table: TableName, read: int) -> Iterator[Event]:
    events: TransactionEvents = []
    try:
        with Destination.open(plan) as dest, publish_transaction(dest, CommitKind.KEY_SYNC) as commit:
            if commit.published is None:
                deleted = _delete_missing(dest, table, read, events)
                commit.published = Published(inserted=0, updated=0, deleted=deleted)
    except CommitUnknown:
        yield Unconfirmed(tuple(events))
        raise
    point("reconcile.after_commit")
    # none if an earlier attempt has executed the transaction
    yield from events
    yield Reconciled(commit.result.deleted or 0, recovered=commit.result.recovered)


def _delete_missing(dest: Destination, table: TableName, read: int, events: TransactionEvents) -> int:
    plan, dialect = dest.plan, dest.dialect
    _check_keys(dest, table, read)
    counting = dialect.count_missing(dest.table, table, plan.merge_key)
    delete = CountedDelete(
        sql=dialect.delete_missing(dest.table, table, plan.merge_key),
        counting=counting,
        deletion=Deletion(keys=table, key=plan.merge_key, present=False, returns=False),
        what="key_sync",
    )
    present, number = dest.count(dest.table), dest.fetch_int(counting)
    return delete.execute(dest, number=number, present=present, events=events)


def _check_keys(dest: Destination, table: TableName, read: int) -> None:
    plan, present = dest.plan, dest.count(table)
    if present != read:
        raise CountMismatch(f"{present} of {read} keys arrived; none was deleted.", hint="Run it again.")
    if present == 0 and not plan.force:
        raise Refused(
            "The source returned no keys at all, so no row was deleted. The rows read before are published.",
            hint="Check key_sync_query and the source. If the source is really empty, run it once with --force.",
        )
    if nulls := dest.fetch_int(dest.dialect.count_null(table, plan.merge_key)):
        raise NullKeys(
            f"{nulls} keys of the source are NULL, so key_sync deleted nothing.",
            hint="Choose a merge_key without NULLs, or exclude these rows in source_query and key_sync_query.",
        )
