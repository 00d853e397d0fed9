"""What must be true of staging and of what was written before a publish may commit: complete, unique, arrived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connections.sdk.errors import CountMismatch, DuplicateKeys
from connections.sdk.protocols import Session
from connections.sdk.schema import Column, TableName
from runs.engine.plan import Plan, Strategy
from runs.engine.staging import dialect_of
from runs.engine.strategies.statement import Counts


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
    present = count_staged(opened, plan)
    if present != staging.rows:
        raise StagingChanged(
            f"Staging of {plan.module} holds {present} rows, {staging.rows} were written; nothing was published.",
            hint="A restart of the destination empties it. Run it again.",
        )


def check_keys(opened: Session, plan: Plan) -> bool:
    """Make keys in staging unique, or refuse; return whether any holds a NULL."""
    if plan.strategy not in (Strategy.INCREMENTAL, Strategy.UPSERT) or not plan.merge_key:
        return False
    dialect = dialect_of(plan)
    staging = dialect.staging_table(plan.module)
    if plan.keep_latest and plan.watermark:
        opened.execute(dialect.keep_latest(staging, plan.merge_key, plan.watermark))
    if examples := opened.fetch(dialect.duplicate_keys(staging, plan.merge_key)):
        shown = "; ".join(f"({', '.join(map(str, row[:-1]))}) {row[-1]} times" for row in examples)
        raise DuplicateKeys(
            f"The source returned rows with the same key {', '.join(plan.merge_key)}: {shown}.",
            hint="Correct merge_key or the query; or set duplicate_keys to keep_latest (with a watermark_column).",
        )
    return bool(opened.fetch(dialect.count_null(staging, plan.merge_key))[0][0])


def check_arrived(opened: Session, plan: Plan, staging: Staging, counts: Mapping[Counts, int]) -> None:
    """Every row of staging must have been put in or rewritten; a trigger or rule of the table can leave some out."""
    rows, matched = _kept(opened, plan, staging), counts.get(Counts.MATCHED, 0)
    if Counts.INSERTED in counts:
        lost = rows - matched - counts[Counts.INSERTED]
        lost += max(matched - counts.get(Counts.REWRITTEN, matched), 0)
    else:
        lost = rows - counts.get(Counts.WRITTEN, 0)
    if lost and Counts.ADDED not in counts:
        raise CountMismatch(
            f"{lost} of {rows} rows did not arrive in {plan.dest_table}; nothing was published.",
            hint="A trigger, a rule or a policy of the table leaves rows out: take it away, or take another table.",
        )


def _kept(opened: Session, plan: Plan, staging: Staging) -> int:
    """Return how many rows there are to publish: keep_latest takes the older ones of a key out of staging."""
    if plan.keep_latest and plan.watermark and plan.strategy in (Strategy.INCREMENTAL, Strategy.UPSERT):
        return count_staged(opened, plan)
    return staging.rows


def null_watermarks(opened: Session, plan: Plan) -> str:
    """Return a warning when rows have no watermark: no bound brings them again; or nothing."""
    if plan.strategy is Strategy.FULL or not plan.watermark:
        return ""
    dialect = dialect_of(plan)
    rows = opened.fetch(dialect.count_null(dialect.staging_table(plan.module), (plan.watermark,)))[0][0]
    if not rows:
        return ""
    return (
        f"Rows that came without {plan.watermark}: {rows}. Later runs ask for what is above the highest, and do not see"
        " what changes in them. Take another watermark_column, or a COALESCE of it in the query."
    )
