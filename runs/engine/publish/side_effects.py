"""Detects changes of rows that the statements did not make: by triggers, rules, policies, views, SQLite's ON CONFLICT.

The row counts of the statements do not reveal them: a trigger may insert a deleted row again or delete an inserted one,
and a view accepts rows that it does not show. Such tables are therefore counted after the strategy's statements.
"""

from __future__ import annotations

from collections.abc import Mapping

from connections.sdk.errors import CountMismatch, InvalidValue
from connections.sdk.formatting import counted
from connections.sdk.schema import TableInfo
from runs.engine.destination import Destination
from runs.engine.plan import Plan
from runs.engine.publish.checks import rows_to_publish
from runs.engine.publish.staging import StagedRows
from runs.engine.strategies.statement import RowCount

_HINT = (
    "A trigger, a rule, a policy or the condition of a view {what}: remove it, change what it does, or choose another "
    "table as dest_table."
)


def may_occur(dest: Destination, table: TableInfo | None) -> bool:
    """Return whether the table may change rows differently from what a statement says."""
    return table is not None and dest.may_change_written_rows()


def run_deferred(dest: Destination) -> None:
    """Run deferred triggers now, before rows are counted, instead of at COMMIT."""
    if not (sql := dest.dialect.run_deferred()):
        return
    try:
        dest.session.execute(sql)
    except InvalidValue as error:
        error.hint += " A deferred constraint or trigger of the table raised this after the last statement."
        raise


def check_remaining(dest: Destination, *, before: int, deleted: int, what: str) -> None:
    """Raise CountMismatch when more rows were deleted than were to be deleted."""
    if (remaining := dest.count(dest.table)) < before - deleted:
        raise CountMismatch(
            f"{dest.table} would have {counted(remaining)} after {what}, and {before - deleted:,} should be left; "
            "nothing was deleted.",
            hint=_HINT.format(what="deletes further rows"),
        )


def check(
    dest: Destination, staged: StagedRows, counts: Mapping[RowCount, int], *, before: int, null_keys: bool
) -> list[str]:
    """Raise CountMismatch unless the staged rows are in the table as the strategy promises.

    Returns a warning if the number of rows of the table differs from ``before`` plus the statements' row counts.
    """
    plan, rows, present = dest.plan, rows_to_publish(dest, staged), dest.count(dest.table)
    if plan.strategy.traits.replaces_all:
        _check_full(plan, rows=rows, present=present)
        return []
    expected = before - counts.get(RowCount.DELETED, 0) - counts.get(RowCount.REPLACED, 0) + _added(plan, counts)
    if not plan.strategy.traits.only_adds and plan.supports_deletes:
        _check_keys(dest, counts, rows=rows, null_keys=null_keys)
    elif present < expected:
        raise _rows_lost(plan, min(expected - present, rows), rows)
    if present == expected:
        return []
    difference = f"{abs(present - expected)} rows {'more' if present > expected else 'fewer'}"
    return [
        f"{plan.dest_table} has {difference} than the inserts and deletes of this run explain: a trigger, a rule or "
        "ON CONFLICT of the table, or another session, inserted or deleted them."
    ]


def _check_full(plan: Plan, *, rows: int, present: int) -> None:
    if present < rows:
        raise _rows_lost(plan, rows - present, rows)
    if present > rows:
        raise CountMismatch(
            f"{plan.dest_table} has {present} rows after the full refresh, but {rows} were inserted; nothing was "
            "published.",
            hint=_HINT.format(what="inserts rows, or inserts deleted ones again"),
        )


def _check_keys(dest: Destination, counts: Mapping[RowCount, int], *, rows: int, null_keys: bool) -> None:
    """Raise CountMismatch unless each staged key is in the table, as often as the statements inserted it."""
    plan = dest.plan
    pairs = dest.dialect.count_pairs(dest.table, dest.staging, plan.merge_key, null_safe=null_keys)
    arrived, targets = map(int, dest.session.fetch(pairs)[0])
    if arrived < rows:
        raise _rows_lost(plan, rows - arrived, rows)
    # upsert updates all rows that share a key, and does not remove duplicates
    had = counts.get(RowCount.TARGETS, counts.get(RowCount.MATCHED, 0))
    expected = had + _added(plan, counts) if plan.strategy.traits.updates_matches else rows
    if targets > expected:
        raise CountMismatch(
            f"{plan.dest_table} has {targets} rows with the {rows} keys of this run, and should have {expected}; "
            "nothing was published.",
            hint=_HINT.format(what="inserts rows, or inserts deleted ones again"),
        )


def _added(plan: Plan, counts: Mapping[RowCount, int]) -> int:
    """Return how many rows the statements inserted, without those that they updated."""
    written = counts.get(RowCount.INSERTED, 0) + counts.get(RowCount.ADDED, 0) + counts.get(RowCount.WRITTEN, 0)
    updates = plan.strategy.traits.updates_matches and RowCount.WRITTEN in counts
    return written - (counts.get(RowCount.MATCHED, 0) if updates else 0)


def _rows_lost(plan: Plan, lost: int, rows: int) -> CountMismatch:
    return CountMismatch(
        f"{lost} of {rows} rows did not arrive in {plan.dest_table}; nothing was published.",
        hint=_HINT.format(what="skips rows, deletes them again, or changes their key"),
    )
