"""What a table does to rows beside what the statements say: triggers, rules, policies, views, SQLite's ON CONFLICT.

The counts of the statements do not show it: a trigger may put a deleted row back, or take out one that was put in, and
a view takes rows that it does not show. So such tables are counted again after the strategy's statements.
"""

from __future__ import annotations

from collections.abc import Mapping

from connections import registry
from connections.sdk.errors import CountMismatch, InvalidValue
from connections.sdk.protocols import Session
from connections.sdk.schema import TableInfo
from runs.engine.checks import Staging, count, kept
from runs.engine.plan import Plan, Strategy
from runs.engine.plurals import counted
from runs.engine.publish.staging import dialect_of
from runs.engine.strategies.statement import Counts

_HINT = (
    "A trigger, a rule, a policy or the condition of a view {what}: take it away, change what it does, or choose "
    "another table as dest_table."
)


def possible(opened: Session, plan: Plan, table: TableInfo | None) -> bool:
    """Whether more or less may happen to the table's rows than statements say."""
    return table is not None and registry.connector(plan.destination.kind).introspector.may_skip_rows(
        opened, plan.dest_table
    )


def run_deferred(opened: Session, plan: Plan) -> None:
    """Run deferred triggers before rows are counted: at COMMIT they would change rows that nobody counts any more."""
    if not (sql := dialect_of(plan).run_deferred()):
        return
    try:
        opened.execute(sql)
    except InvalidValue as error:
        error.hint += " A deferred constraint or a deferred trigger of the table found it, after the last statement."
        raise


def check_left(opened: Session, plan: Plan, *, before: int, deleted: int, what: str) -> None:
    """Raise CountMismatch when more rows are gone than those that were to be deleted."""
    if (left := count(opened, plan.dest_table, plan)) < before - deleted:
        raise CountMismatch(
            f"{plan.dest_table} would have {counted(left)} after {what}, and {before - deleted:,} should be left; "
            "nothing was deleted.",
            hint=_HINT.format(what="deletes rows beside those that were to be deleted"),
        )


def check(
    opened: Session, plan: Plan, staging: Staging, counts: Mapping[Counts, int], *, before: int, null_keys: bool
) -> list[str]:
    """Raise CountMismatch unless the rows of staging are in the table as the strategy promises.

    Returns a warning when the table has another number of rows than it must have had by the statements' counts,
    ``before`` of them at first.
    """
    rows, present = kept(opened, plan, staging), count(opened, plan.dest_table, plan)
    if plan.strategy is Strategy.FULL:
        _check_full(plan, rows=rows, present=present)
        return []
    expected = before - counts.get(Counts.DELETED, 0) - counts.get(Counts.REPLACED, 0) + _added(plan, counts)
    if plan.strategy is not Strategy.APPEND and plan.supports_deletes:
        _check_keys(opened, plan, counts, rows=rows, null_keys=null_keys)
    elif present < expected:
        raise _lost(plan, min(expected - present, rows), rows)
    if present == expected:
        return []
    difference = f"{abs(present - expected)} rows {'more' if present > expected else 'fewer'}"
    return [
        f"{plan.dest_table} has {difference} than it must have by what this run put in and took out: a trigger, a rule "
        "or ON CONFLICT of the table, or another session, put them in or took them out."
    ]


def _check_full(plan: Plan, *, rows: int, present: int) -> None:
    if present < rows:
        raise _lost(plan, rows - present, rows)
    if present > rows:
        raise CountMismatch(
            f"{plan.dest_table} has {present} rows after the full refresh, but {rows} were put in; nothing was "
            "published.",
            hint=_HINT.format(what="puts rows in, or puts deleted ones back"),
        )


def _check_keys(opened: Session, plan: Plan, counts: Mapping[Counts, int], *, rows: int, null_keys: bool) -> None:
    """Every row of staging must be there by its key, and no key more often than the statements made it."""
    dialect = dialect_of(plan)
    pairs = dialect.count_pairs(
        plan.dest_table, dialect.staging_table(plan.module), plan.merge_key, null_safe=null_keys
    )
    arrived, targets = map(int, opened.fetch(pairs)[0])
    if arrived < rows:
        raise _lost(plan, rows - arrived, rows)
    # upsert rewrites doubled rows of the destination, and leaves them doubled
    had = counts.get(Counts.TARGETS, counts.get(Counts.MATCHED, 0)) if plan.strategy is Strategy.UPSERT else 0
    expected = had + (_added(plan, counts) if plan.strategy is Strategy.UPSERT else rows)
    if targets > expected:
        raise CountMismatch(
            f"{plan.dest_table} has {targets} rows with the {rows} keys that came, and should have {expected}; nothing "
            "was published.",
            hint=_HINT.format(what="puts rows in, or puts deleted ones back"),
        )


def _added(plan: Plan, counts: Mapping[Counts, int]) -> int:
    """Return how many rows the statements put in beside those that they rewrote."""
    found = counts.get(Counts.INSERTED, 0) + counts.get(Counts.ADDED, 0) + counts.get(Counts.WRITTEN, 0)
    rewritten = counts.get(Counts.MATCHED, 0) if plan.strategy is Strategy.UPSERT and Counts.WRITTEN in counts else 0
    return found - rewritten


def _lost(plan: Plan, lost: int, rows: int) -> CountMismatch:
    return CountMismatch(
        f"{lost} of {rows} rows did not arrive in {plan.dest_table}; nothing was published.",
        hint=_HINT.format(what="leaves rows out, takes them out again, or changes their key"),
    )
