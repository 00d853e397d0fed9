"""Checks that a publish makes before COMMIT: staging is complete, its keys are unique, all rows have arrived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connections.sdk.errors import CountMismatch, DuplicateKeys, InvalidValue
from connections.sdk.schema import TableInfo
from runs.engine.destination import Destination
from runs.engine.plan import Plan
from runs.engine.publish.staging import StagedRows
from runs.engine.strategies.statement import RowCount, Statement

# columns shown of an example row
_SHOWN = 4


class StagingChanged(CountMismatch):
    """Staging does not contain the rows that were written to it; a retry stages them again."""

    retryable = True


def check_complete(dest: Destination, staged: StagedRows) -> None:
    """Count staging. Raises StagingChanged as `check_present` does."""
    check_present(dest.plan, staged, dest.count(dest.staging), consequence="nothing was published")


def check_present(plan: Plan, staged: StagedRows, present: int, *, consequence: str) -> None:
    """Raise StagingChanged when staging does not contain as many rows as were written."""
    if present != staged.rows:
        raise StagingChanged(
            f"Staging of {plan.module} holds {present} rows, {staged.rows} were written; {consequence}.",
            hint="A restart of the destination empties it. Run it again.",
        )


def check_keys(dest: Destination, staged: StagedRows) -> bool:
    """Return whether any key in staging contains NULL, after keep_latest has removed older rows of each key.

    Raises DuplicateKeys when keys are not unique.
    """
    plan = dest.plan
    if not plan.strategy.traits.needs_key or not plan.merge_key:
        return False
    examples = _duplicates(dest)
    if examples and plan.keep_latest and plan.watermark:
        keep_latest(dest, staged)
        examples = _duplicates(dest)
    if examples:
        raise _duplicate_keys(plan, examples)
    return bool(dest.fetch_int(dest.dialect.count_null(dest.staging, plan.merge_key)))


def explain_duplicates(dest: Destination) -> None:
    """Raise DuplicateKeys with examples if staging has duplicate keys, after a unique index could not be created."""
    if examples := _duplicates(dest):
        raise _duplicate_keys(dest.plan, examples)


def _duplicates(dest: Destination) -> list[tuple[Any, ...]]:
    return dest.session.fetch(dest.dialect.duplicate_keys(dest.staging, dest.plan.merge_key))


def _duplicate_keys(plan: Plan, examples: Sequence[Sequence[Any]]) -> DuplicateKeys:
    shown = "; ".join(f"({', '.join(map(str, row[:-1]))}) {row[-1]} times" for row in examples)
    return DuplicateKeys(
        f"The source returned rows with the same key {', '.join(plan.merge_key)}: {shown}.",
        hint="Correct merge_key or the query; or set duplicate_keys to keep_latest (with a watermark_column).",
    )


def keep_latest(dest: Destination, staged: StagedRows) -> int:
    """Delete the older rows of each key from staging; return how many rows remain.

    Raises CountMismatch unless one row of each key remains.
    """
    plan, dialect = dest.plan, dest.dialect
    keys = dest.fetch_int(dialect.count_keys(dest.staging, plan.merge_key))
    names = tuple(column.dest_name for column in staged.columns)
    dest.session.execute(dialect.keep_latest(dest.staging, names, plan.merge_key, plan.watermark))
    if (remaining := dest.count(dest.staging)) != keys:
        raise CountMismatch(
            f"Staging of {plan.module} holds {keys} keys; keep_latest left {remaining} rows. Nothing was published.",
            hint="This is a bug in Pipekit: report it with the table's definition and the log. Until it is fixed, "
            "make the key unique in the source query.",
        )
    return keys


def check_numbered(dest: Destination, staged: StagedRows, table: TableInfo | None) -> None:
    """Raise an error for NULL in an autoincrement column: each run would insert the row with another number."""
    names = tuple(column.dest_name for column in staged.columns)
    for column in staged.columns:
        if table is None or column.dest_name not in table.autonumbered:
            continue
        shown = tuple(name for name in names if name != column.dest_name)[:_SHOWN]
        if rows := dest.session.fetch(dest.dialect.select_rows_with_null(dest.staging, column.dest_name, shown)):
            others = ", ".join(f"{name}: {value!s:.40}" for name, value in zip(shown, rows[0], strict=False))
            raise InvalidValue(
                f"Column “{column.dest_name}”: NULL, in the row ({others}), would become the next number in "
                f"{dest.table}; nothing was published.",
                hint="Exclude such rows in the source query or give them a key there; or use a destination column that "
                "stores NULL (in SQLite not INTEGER PRIMARY KEY).",
            )


def check_arrived(dest: Destination, staged: StagedRows, counts: Mapping[RowCount, int]) -> None:
    """Raise CountMismatch unless every staged row was inserted or updated; a trigger or rule can skip some."""
    rows, matched = rows_to_publish(dest, staged), counts.get(RowCount.MATCHED, 0)
    if RowCount.INSERTED in counts:
        lost = rows - matched - counts[RowCount.INSERTED]
        targets = counts.get(RowCount.TARGETS, matched)
        lost += max(targets - counts.get(RowCount.REWRITTEN, targets), 0)
    elif RowCount.ADDED in counts:
        lost = counts.get(RowCount.MISSING_COPIES, counts[RowCount.ADDED]) - counts[RowCount.ADDED]
    else:
        lost = rows - counts.get(RowCount.WRITTEN, 0)
    if lost:
        raise CountMismatch(
            f"{lost} of {rows} rows did not arrive in {dest.table}; nothing was published.",
            hint="A trigger, a rule or a policy of the table skips rows: remove it, or choose another table.",
        )


def check_deleted(
    dest: Destination, statement: Statement, *, deleted: int, targets: int, may_return: bool = False
) -> None:
    """Raise CountMismatch if rows that were to be deleted still exist; a trigger, rule or policy can keep them.

    The table is queried only when the row count is too low, because other sessions may have deleted rows or the system
    may not count them, and when a trigger may insert rows again (``may_return``).
    """
    if deleted >= targets and not may_return:
        return
    if not (remaining := dest.fetch_int(statement.remaining)):
        return
    confirmed = max(min(deleted, targets - remaining), 0)
    raise CountMismatch(
        f"Only {confirmed} of {targets} rows could be deleted from {dest.table}; it was not changed.",
        hint="A trigger, a rule or a policy of the table keeps rows: remove it, grant this user DELETE, or choose "
        "upsert without key_sync, which deletes nothing.",
    )


def rows_to_publish(dest: Destination, staged: StagedRows) -> int:
    """Return the number of rows to publish, without those that keep_latest has deleted from staging."""
    plan = dest.plan
    if plan.keep_latest and plan.watermark and plan.strategy.traits.needs_key:
        return dest.count(dest.staging)
    return staged.rows
