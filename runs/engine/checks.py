"""What must be true of staging and of what was written before a publish may commit: complete, unique, arrived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connections.sdk.errors import CountMismatch, DuplicateKeys, InvalidValue
from connections.sdk.protocols import Session
from connections.sdk.schema import Column, TableInfo, TableName
from runs.engine.plan import Plan, Strategy
from runs.engine.publish.staging import dialect_of
from runs.engine.strategies.statement import Counts, Statement

# of a row given as an example, so many columns
_SHOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """What is to be published: the columns, how many rows jrunner wrote, and what for."""

    columns: tuple[Column, ...]
    rows: int
    # the destination table was there when the rows were staged
    existed: bool = False


class StagingChanged(CountMismatch):
    """Staging does not hold what was written there; another attempt fills it anew."""

    retryable = True


def count(opened: Session, table: TableName, plan: Plan) -> int:
    return int(opened.fetch(dialect_of(plan).count(table))[0][0])


def count_staged(opened: Session, plan: Plan) -> int:
    return count(opened, dialect_of(plan).staging_table(plan.module), plan)


def check_complete(opened: Session, plan: Plan, staging: Staging) -> None:
    check_present(plan, staging, count_staged(opened, plan), left="nothing was published")


def check_present(plan: Plan, staging: Staging, present: int, *, left: str) -> None:
    """Raise StagingChanged when staging holds another number of rows than were written."""
    if present != staging.rows:
        raise StagingChanged(
            f"Staging of {plan.module} holds {present} rows, {staging.rows} were written; {left}.",
            hint="A restart of the destination empties it. Run it again.",
        )


def check_keys(opened: Session, plan: Plan, staging: Staging) -> bool:
    """Make keys in staging unique, or refuse; return whether any holds a NULL."""
    if plan.strategy not in (Strategy.INCREMENTAL, Strategy.UPSERT) or not plan.merge_key:
        return False
    dialect = dialect_of(plan)
    table = dialect.staging_table(plan.module)
    examples = opened.fetch(dialect.duplicate_keys(table, plan.merge_key))
    if examples and plan.keep_latest and plan.watermark:
        _keep_latest(opened, plan, staging)
        examples = opened.fetch(dialect.duplicate_keys(table, plan.merge_key))
    if examples:
        shown = "; ".join(f"({', '.join(map(str, row[:-1]))}) {row[-1]} times" for row in examples)
        raise DuplicateKeys(
            f"The source returned rows with the same key {', '.join(plan.merge_key)}: {shown}.",
            hint="Correct merge_key or the query; or set duplicate_keys to keep_latest (with a watermark_column).",
        )
    return bool(opened.fetch(dialect.count_null(table, plan.merge_key))[0][0])


def _keep_latest(opened: Session, plan: Plan, staging: Staging) -> None:
    """Take the older rows of each key out of staging; exactly one row of each key must be left."""
    dialect = dialect_of(plan)
    table = dialect.staging_table(plan.module)
    keys = int(opened.fetch(dialect.count_keys(table, plan.merge_key))[0][0])
    names = tuple(column.dest_name for column in staging.columns)
    opened.execute(dialect.keep_latest(table, names, plan.merge_key, plan.watermark))
    if (kept := count_staged(opened, plan)) != keys:
        raise CountMismatch(
            f"Staging of {plan.module} holds {keys} keys; keep_latest left {kept} rows. Nothing was published.",
            hint="This is a fault of Pipekit: report it with the table's definition and the run's log. Until then make "
            "the key unique in the source query.",
        )


def check_numbered(opened: Session, plan: Plan, staging: Staging, table: TableInfo | None) -> None:
    """Refuse NULL for a column in whose place the system writes a number: the row would be another, each run anew."""
    dialect = dialect_of(plan)
    names = tuple(column.dest_name for column in staging.columns)
    for column in staging.columns:
        if table is None or column.dest_name not in table.autonumbered:
            continue
        shown = tuple(name for name in names if name != column.dest_name)[:_SHOWN]
        if rows := opened.fetch(dialect.without(dialect.staging_table(plan.module), column.dest_name, shown)):
            others = ", ".join(f"{name}: {value!s:.40}" for name, value in zip(shown, rows[0], strict=False))
            raise InvalidValue(
                f"Column “{column.dest_name}”: NULL, in the row ({others}), would become the next number in "
                f"{plan.dest_table}; nothing was published.",
                hint="Leave such rows out in the source query or give them a key there; or make the destination column "
                "one that keeps NULL (in SQLite not INTEGER PRIMARY KEY).",
            )


def check_arrived(opened: Session, plan: Plan, staging: Staging, counts: Mapping[Counts, int]) -> None:
    """Every row of staging must have been put in or rewritten; a trigger or rule of the table can leave some out."""
    rows, matched = kept(opened, plan, staging), counts.get(Counts.MATCHED, 0)
    if Counts.INSERTED in counts:
        lost = rows - matched - counts[Counts.INSERTED]
        targets = counts.get(Counts.TARGETS, matched)
        lost += max(targets - counts.get(Counts.REWRITTEN, targets), 0)
    elif Counts.ADDED in counts:
        lost = counts.get(Counts.UNSEEN, counts[Counts.ADDED]) - counts[Counts.ADDED]
    else:
        lost = rows - counts.get(Counts.WRITTEN, 0)
    if lost:
        raise CountMismatch(
            f"{lost} of {rows} rows did not arrive in {plan.dest_table}; nothing was published.",
            hint="A trigger, a rule or a policy of the table leaves rows out: take it away, or take another table.",
        )


def check_deleted(
    opened: Session, plan: Plan, statement: Statement, *, deleted: int, targets: int, may_return: bool = False
) -> None:
    """What was to be deleted must be gone; a trigger, rule or policy of the table can keep rows in silence.

    Asked again when the count falls short: others may have deleted some of the rows, or the system may not count; and
    when a trigger may put rows back (``may_return``).
    """
    if deleted >= targets and not may_return:
        return
    if not (remaining := int(opened.fetch(statement.remaining)[0][0])):
        return
    gone = max(min(deleted, targets - remaining), 0)
    raise CountMismatch(
        f"Only {gone} of {targets} rows could be deleted from {plan.dest_table}; it was left as it was.",
        hint="A trigger, a rule or a policy of the table keeps rows: take it away or let this user delete, "
        "or choose upsert without key_sync, which deletes nothing.",
    )


def kept(opened: Session, plan: Plan, staging: Staging) -> int:
    """Return how many rows there are to publish: keep_latest takes the older ones of a key out of staging."""
    if plan.keep_latest and plan.watermark and plan.strategy in (Strategy.INCREMENTAL, Strategy.UPSERT):
        return count_staged(opened, plan)
    return staging.rows
