"""The deletes of a repair: rows of the repaired ranges whose key the source did not return, and duplicates.

The repair's rows are published before, by the ordinary publish; staging still contains them and is the list of keys to
keep. The deletes are one transaction with its own commit record, within the safety limit of key_sync.
"""

from __future__ import annotations

from collections.abc import Generator

from connections.sdk.sql.foreign_keys import Deletion
from runs.engine.destination import Destination
from runs.engine.events import REPAIR, Event, Published, Reconciled, TransactionEvents, Unconfirmed
from runs.engine.plan import Plan
from runs.engine.publish.checks import check_present
from runs.engine.publish.commit import CommitKind, CommitUnknown, publish_transaction
from runs.engine.publish.staging import StagedRows
from runs.engine.reconcile import duplicate_rows
from runs.engine.reconcile.counted_delete import CountedDelete


def deletes(plan: Plan) -> bool:
    """Return whether the plan is a repair that deletes extra or duplicate rows."""
    return plan.repair is not None and (plan.repair.deletes or plan.repair.removes_duplicates) and plan.supports_deletes


def delete_extra_rows(plan: Plan, staged: StagedRows) -> Generator[Event, None, None]:
    """Delete the rows, yielding events; the last one is Reconciled. Raises Refused above max_delete_share."""
    events: TransactionEvents = []
    try:
        with Destination.open(plan) as dest, publish_transaction(dest, CommitKind.REPAIR) as commit:
            if commit.published is None:
                deleted = _delete_in_transaction(dest, staged, events)
                commit.published = Published(inserted=0, updated=0, deleted=deleted)
    except CommitUnknown:
        yield Unconfirmed(tuple(events))
        raise
    # none if an earlier attempt has executed the transaction
    yield from events
    yield Reconciled(commit.result.deleted or 0, what=REPAIR, recovered=commit.result.recovered)


def _delete_in_transaction(dest: Destination, staged: StagedRows, events: TransactionEvents) -> int:
    repair, deleted = dest.plan.repair, 0
    assert repair is not None
    _check_staging(dest, staged)
    if repair.removes_duplicates:
        # duplicates first: after the first run of deferred constraints they are immediate, and would fail in between
        # a delete and its insert
        deleted += duplicate_rows.remove(dest, staged.columns, lambda row: _is_repaired(dest, row), events)
    if repair.deletes:
        deleted += _delete(dest, staged, events)
    return deleted


def _check_staging(dest: Destination, staged: StagedRows) -> None:
    """Raise StagingChanged when staging, the list of keys to keep, is not complete."""
    present = dest.count(dest.staging)
    if dest.plan.keep_latest and 0 < present < staged.rows:
        # the publish deleted the older rows of each key
        return
    check_present(dest.plan, staged, present, consequence="extra rows were not deleted")


def _is_repaired(dest: Destination, row: str) -> str:
    """Return the condition that a row is in the repaired part; not one with a NULL key, which cannot be compared."""
    repair = dest.plan.repair
    assert repair is not None
    text = f"NOT {dest.dialect.any_null(dest.plan.merge_key, row)}"
    condition = repair.condition(f"{row}.{dest.dialect.quote(repair.column)}") if repair.column else ""
    return f"{text} AND {condition}" if condition else text


def _delete(dest: Destination, staged: StagedRows, events: TransactionEvents) -> int:
    """Delete rows whose key is not in staging, after checking the limits and the foreign keys of other tables."""
    plan, dialect = dest.plan, dest.dialect
    is_repaired = f"AND {_is_repaired(dest, 'd')}"
    counting = f"{dialect.count_missing(dest.table, dest.staging, plan.merge_key)}\n{is_repaired}"
    if not (extra := dest.fetch_int(counting)):
        return 0
    delete = CountedDelete(
        sql=f"{dialect.delete_missing(dest.table, dest.staging, plan.merge_key)}\n{is_repaired}",
        counting=counting,
        deletion=Deletion(
            keys=dest.staging,
            key=plan.merge_key,
            present=False,
            returns=False,
            bound=lambda row: _is_repaired(dest, row),
        ),
        what="The repair",
        # all staged rows were written: only an append module's repair skips some, and it deletes nothing
        published=staged.rows,
    )
    return delete.execute(dest, number=extra, present=dest.count(dest.table), events=events)
