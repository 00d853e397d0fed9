"""Step five, reconcile (key_sync): rows whose key is gone from the source leave the destination, within limits.

All keys are read from the source after the load. Nothing is deleted if that read failed, was empty, has NULL or
doubled keys, or if more than the allowed share would go. The delete is one transaction with a commit record of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from connections import registry
from connections.sdk.errors import ConfigurationInvalid, ConnectionLost, CountMismatch, NullKeys, Refused
from connections.sdk.protocols import Session
from connections.sdk.schema import Column, TableName
from connections.sdk.sql.foreign_keys import Deletion
from modules.query.placeholders import find_placeholders
from modules.query.rewrite import select_columns
from runs.engine.checks import check_deleted
from runs.engine.destination import destination
from runs.engine.events import Event, MergeSqlBuilt, Published, Reconciled, Staged, Warned
from runs.engine.faults import point
from runs.engine.plan import Plan
from runs.engine.publish import commit_record, foreign_keys, safety_limits, side_effects
from runs.engine.publish.orphaned_rows import OrphanedRows
from runs.engine.publish.publish import find_after
from runs.engine.publish.staging import dialect_of, make_empty
from runs.engine.strategies.statement import Counts, Statement
from runs.engine.transfer import Transfer, transfer
from runs.engine.watermarks import key_order

KIND = "key_sync"


def reconcile(plan: Plan, base_query: str, columns: Sequence[Column]) -> Generator[Event, None, None]:
    """Delete what the source no longer has; ends with Reconciled."""
    keys = tuple(next(c for c in columns if c.dest_name == name) for name in plan.merge_key)
    table = keys_table(plan)
    with destination(plan) as opened:
        make_empty(opened, plan, table, keys)
    query, read = key_query(plan, base_query, keys), 0
    columns, warning = key_order.in_order(plan, keys)
    if warning:
        yield Warned(warning)
    for event in transfer(plan, Transfer(query=query, table=table, columns=columns)):
        if isinstance(event, Staged):
            read = event.rows
        elif isinstance(event, Warned):
            yield event
    point("reconcile.keys_read")
    yield from _delete(plan, table, read)


def keys_table(plan: Plan) -> TableName:
    """Return the staging table of the keys; no module name holds a `#`, so none can be it."""
    staging = dialect_of(plan).staging_table(plan.module)
    return TableName(staging.schema, f"{staging.table}#keys")


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
    try:
        with destination(plan) as opened:
            told: list[Event] = []
            with opened.transaction():
                deleted = _transaction(opened, plan, table, read, told)
                point("reconcile.before_commit")
    except ConnectionLost as lost:
        if (found := find_after(lost, plan, kind=KIND)) is None:
            raise
        told, deleted = [], found.deleted or 0
    point("reconcile.after_commit")
    yield from told
    yield Reconciled(deleted)


def _transaction(opened: Session, plan: Plan, table: TableName, read: int, told: list[Event]) -> int:
    dialect = dialect_of(plan)
    for sql in dialect.begin_publish(plan.dest_table, lock_seconds=plan.lock_seconds):
        opened.execute(sql)
    if (done := commit_record.find(opened, dialect, plan, kind=KIND)) is not None:
        return done.deleted or 0
    commit_record.hold_claim(opened, dialect, plan)
    _check_keys(opened, plan, table, read)
    present = opened.fetch(dialect.count(plan.dest_table))[0][0]
    deleting = opened.fetch(dialect.count_missing(plan.dest_table, table, plan.merge_key))[0][0]
    if warning := safety_limits.check_deletes(plan, deleting=deleting, present=present):
        told.append(Warned(warning))
    doomed = Deletion(keys=table, key=plan.merge_key, present=False, returns=False)
    references = foreign_keys.pointing_at(opened, plan) if deleting else ()
    told += map(Warned, foreign_keys.check(opened, plan, references, doomed, what="key_sync"))
    orphaned = OrphanedRows(opened, plan, references)
    sql = dialect.delete_missing(plan.dest_table, table, plan.merge_key)
    told.append(MergeSqlBuilt(f"{sql};"))
    with foreign_keys.explained(plan, references, returns=False):
        deleted = opened.execute(sql) if deleting else 0
        side_effects.run_deferred(opened, plan)
    gone = Statement(sql, Counts.DELETED, remaining=dialect.count_missing(plan.dest_table, table, plan.merge_key))
    may_return = bool(deleting) and registry.connector(plan.destination.kind).introspector.may_skip_rows(
        opened, plan.dest_table
    )
    check_deleted(opened, plan, gone, deleted=deleted, targets=deleting, may_return=may_return)
    if may_return:
        side_effects.check_left(opened, plan, before=present, deleted=deleting, what="key_sync")
    told += map(Warned, orphaned.warnings())
    published = Published(inserted=0, updated=0, deleted=deleted)
    commit_record.write(opened, dialect, plan, published, kind=KIND)
    return deleted


def _check_keys(opened: Session, plan: Plan, table: TableName, read: int) -> None:
    dialect = dialect_of(plan)
    present = opened.fetch(dialect.count(table))[0][0]
    if present != read:
        raise CountMismatch(f"{present} of {read} keys arrived; none was deleted.", hint="Run it again.")
    if present == 0 and not plan.force:
        raise Refused(
            "The source returned no keys at all; none was deleted. The rows read before are published.",
            hint="Check key_sync_query and the source. If the source is really empty, run it once with --force.",
        )
    if nulls := opened.fetch(dialect.count_null(table, plan.merge_key))[0][0]:
        raise NullKeys(
            f"{nulls} keys of the source are NULL; key_sync deletes nothing by such keys.",
            hint="Choose a merge_key without NULLs, or leave them out in key_sync_query.",
        )
