"""The deletes of a repair: rows of the repaired ranges whose key the source did not return, and duplicates.

The repair's rows are published before, by the ordinary publish; staging still contains them and is the list of keys to
keep. The deletes are one transaction with its own commit record, within the safety limit of key_sync.
"""

from __future__ import annotations

from collections.abc import Generator

from connections import registry
from connections.sdk.errors import ConnectionLost, CountMismatch
from connections.sdk.protocols import Session
from connections.sdk.sql.foreign_keys import Deletion
from runs.engine.checks import Staging, check_deleted, check_present, count_staged
from runs.engine.destination import open_destination
from runs.engine.events import Event, MergeSqlBuilt, Published, Reconciled, Warned
from runs.engine.faults import point
from runs.engine.plan import Plan
from runs.engine.publish import commit_record, duplicate_rows, foreign_keys, safety_limits, side_effects
from runs.engine.publish.publish import find, find_after
from runs.engine.publish.staging import dialect_of
from runs.engine.strategies.statement import RowCount, Statement

KIND = "repair"


def deletes(plan: Plan) -> bool:
    """Return whether the plan is a repair that deletes extra or duplicate rows."""
    return plan.repair is not None and (plan.repair.deletes or plan.repair.removes_duplicates) and plan.supports_deletes


def check_resume(plan: Plan) -> None:
    """Raise CountMismatch when an earlier attempt published the rows but did not delete the extra ones.

    A retry cannot do it: its staging table is empty, so that every row of the repaired part would seem to be extra.
    """
    if deletes(plan) and find(plan, kind=KIND) is None:
        raise CountMismatch(
            f"The repair of {plan.module} was interrupted after its rows were published; extra rows were not deleted.",
            hint=f"Run it again: manage.py verifymodule {plan.module} --repair.",
        )


def delete_extra(plan: Plan, staged: Staging) -> Generator[Event, None, None]:
    """Delete the rows, yielding events; the last one is Reconciled. Raises Refused above max_delete_share."""
    events: list[Event] = []
    try:
        with open_destination(plan) as session, session.transaction():
            deleted = _transaction(session, plan, staged, events)
            point("repair.before_commit")
    except ConnectionLost as lost:
        if (committed := find_after(lost, plan, kind=KIND)) is None:
            raise
        events, deleted = [], committed.deleted or 0
    yield from events
    yield Reconciled(deleted, what="the repair")


def _transaction(session: Session, plan: Plan, staged: Staging, events: list[Event]) -> int:
    dialect, repair = dialect_of(plan), plan.repair
    assert repair is not None
    for sql in dialect.begin_publish(plan.dest_table, lock_seconds=plan.lock_seconds):
        session.execute(sql)
    if (committed := commit_record.find(session, dialect, plan, kind=KIND)) is not None:
        return committed.deleted or 0
    commit_record.hold_claim(session, dialect, plan)
    _check_staging(session, plan, staged)
    deleted = 0
    if repair.removes_duplicates:
        # duplicates first: after the first run of deferred constraints they are immediate, and would fail in between
        # a delete and its insert
        deleted += duplicate_rows.remove(session, plan, staged.columns, lambda row: _is_repaired(plan, row), events)
    if repair.deletes:
        deleted += _delete(session, plan, staged, events)
    published = Published(inserted=0, updated=0, deleted=deleted)
    commit_record.write(session, dialect, plan, published, kind=KIND)
    return deleted


def _check_staging(session: Session, plan: Plan, staged: Staging) -> None:
    """Raise StagingChanged when staging, the list of keys to keep, is not complete."""
    present = count_staged(session, plan)
    if plan.keep_latest and 0 < present < staged.rows:
        # the publish deleted the older rows of each key
        return
    check_present(plan, staged, present, consequence="extra rows were not deleted")


def _is_repaired(plan: Plan, row: str) -> str:
    """Return the condition that a row is in the repaired part; not one with a NULL key, which cannot be compared."""
    dialect, repair = dialect_of(plan), plan.repair
    assert repair is not None
    text = f"NOT {dialect.any_null(plan.merge_key, row)}"
    condition = repair.condition(f"{row}.{dialect.quote(repair.column)}") if repair.column else ""
    return f"{text} AND {condition}" if condition else text


def _delete(session: Session, plan: Plan, staged: Staging, events: list[Event]) -> int:
    """Delete rows whose key is not in staging, after checking the limits and the foreign keys of other tables."""
    dialect = dialect_of(plan)
    staging = dialect.staging_table(plan.module)
    counting = f"{dialect.count_missing(plan.dest_table, staging, plan.merge_key)}\nAND {_is_repaired(plan, 'd')}"
    if not (extra := int(session.fetch(counting)[0][0])):
        return 0
    present = int(session.fetch(dialect.count(plan.dest_table))[0][0])
    # all staged rows were written: only an append module's repair skips some, and it deletes nothing
    written = staged.rows
    if warning := safety_limits.check_deletes(
        plan, deleting=extra, present=present, what="The repair", published=written
    ):
        events.append(Warned(warning))
    references = foreign_keys.referencing(session, plan)
    deletion = Deletion(
        keys=staging, key=plan.merge_key, present=False, returns=False, bound=lambda row: _is_repaired(plan, row)
    )
    warnings = foreign_keys.check(session, plan, references, deletion, what="The repair", published=written)
    events += map(Warned, warnings)
    orphaned = foreign_keys.OrphanedRows(session, plan, references)
    sql = f"{dialect.delete_missing(plan.dest_table, staging, plan.merge_key)}\nAND {_is_repaired(plan, 'd')}"
    events.append(MergeSqlBuilt(f"{sql};"))
    with foreign_keys.explain_violations(plan, references, returns=False):
        deleted = session.execute(sql)
        side_effects.run_deferred(session, plan)
    statement = Statement(sql, RowCount.DELETED, remaining=counting)
    may_return = registry.connector(plan.destination.kind).introspector.may_skip_rows(session, plan.dest_table)
    check_deleted(session, plan, statement, deleted=deleted, targets=extra, may_return=may_return)
    if may_return:
        side_effects.check_remaining(session, plan, before=present, deleted=extra, what="the repair")
    events += map(Warned, orphaned.warnings())
    return deleted
