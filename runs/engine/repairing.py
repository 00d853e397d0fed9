"""Deletes what a repair found to be extra: rows of the repaired ranges whose key the source did not return.

The repair's rows are published before, by the ordinary publish; staging still holds them, and is the list of the keys
that stay. One transaction with a commit record of its own, within the safety limit of key_sync.
"""

from __future__ import annotations

from collections.abc import Generator

from connections.sdk.errors import ConnectionLost
from connections.sdk.protocols import Session
from runs.engine import commit_record, safety_limits
from runs.engine.events import Event, MergeSqlBuilt, Published, Reconciled, Warned
from runs.engine.faults import point
from runs.engine.plan import Plan
from runs.engine.publishing import find_after
from runs.engine.staging import dialect_of
from runs.engine.waiting import destination

KIND = "repair"


def delete_extra(plan: Plan) -> Generator[Event, None, None]:
    """Delete the rows; ends with Reconciled. Raises Refused beyond the limit, and then nothing was deleted."""
    events: list[Event] = []
    try:
        with destination(plan) as opened, opened.transaction():
            deleted = _transaction(opened, plan, events)
            point("repair.before_commit")
    except ConnectionLost as lost:
        if (found := find_after(lost, plan, kind=KIND)) is None:
            raise
        events, deleted = [], found.deleted or 0
    yield from events
    yield Reconciled(deleted)


def _transaction(opened: Session, plan: Plan, events: list[Event]) -> int:
    dialect = dialect_of(plan)
    for sql in dialect.begin_publish(plan.dest_table, lock_seconds=plan.lock_seconds):
        opened.execute(sql)
    if (done := commit_record.find(opened, dialect, plan, kind=KIND)) is not None:
        return done.deleted or 0
    commit_record.hold_claim(opened, dialect, plan)
    staging, bound = dialect.staging_table(plan.module), _bound(plan)
    extra = int(opened.fetch(dialect.count_missing(plan.dest_table, staging, plan.merge_key) + bound)[0][0])
    if extra:
        present = int(opened.fetch(dialect.count(plan.dest_table))[0][0])
        if warning := safety_limits.check_deletes(plan, deleting=extra, present=present):
            events.append(Warned(warning))
        sql = dialect.delete_missing(plan.dest_table, staging, plan.merge_key) + bound
        events.append(MergeSqlBuilt(f"{sql};"))
        extra = opened.execute(sql)
    commit_record.write(opened, dialect, plan, Published(inserted=0, updated=0, deleted=extra), kind=KIND)
    return extra


def _bound(plan: Plan) -> str:
    assert plan.repair is not None
    condition = plan.repair.condition(f"d.{dialect_of(plan).quote(plan.repair.column)}") if plan.repair.column else ""
    return f"\nAND {condition}" if condition else ""
