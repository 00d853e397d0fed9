"""What a run says of a watermark that will leave later rows out, found before the next run does so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connections import registry
from connections.sdk.errors import ConfigurationError, DataError, LockTimeout
from connections.sdk.protocols import Session
from connections.sdk.schema import Column, TableInfo
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.sql.temporal import Timestamp, has_offset
from connections.sdk.sql.types import DataType, Kind
from modules import implied_watermark
from runs.engine.plan import Plan, Strategy
from runs.engine.publish.staging import dialect_of
from runs.engine.watermarks.bounds import compared_type
from runs.engine.watermarks.types import source_type

# clocks differ, and so do zones
_TOLERANCE = timedelta(days=1)
# the end of the calendar as digits: 99991231, 99991231235959, as systems without NULL write "never"
_NEVER = re.compile(r"9999123[01](\d{6})?")
# nothing but nines is "never" only among dates: elsewhere it is a number like any other
_NINES = re.compile(r"9{8}|9{14}")
_DIGITS_OF_DATE = re.compile(r"(19|2[01]|99)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(([01]\d|2[0-4])[0-5]\d[0-5]\d)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """How many rows of staging have no watermark, share the highest where that matters, or are texts with an offset."""

    without: int = 0
    sharing: int = 0
    with_offset: int = 0


def count_marks(opened: Session, plan: Plan, columns: Sequence[Column]) -> Marks:
    """Ask staging once for all that the warnings need to know of it."""
    column = next((c for c in columns if c.dest_name == plan.watermark), None)
    if column is None:
        return Marks()
    compared = compared_type(registry.dialect(plan.source.kind), source_type(plan, column), column.data_type)
    bounded = plan.strategy is not Strategy.FULL
    # a key of this column alone has one row for each value
    ties = bounded and compared.is_numeric and not plan.overlap and plan.merge_key != (plan.watermark,)
    offsets = compared.kind is Kind.TEXT and column.data_type.kind is Kind.TEXT
    if not bounded and not offsets:
        return Marks()
    dialect = dialect_of(plan)
    sql = dialect.count_marks(dialect.staging_table(plan.module), plan.watermark, ties=ties, offsets=offsets)
    without, sharing, with_offset = map(int, opened.fetch(sql)[0])
    return Marks(without=without, sharing=sharing, with_offset=with_offset)


def early_marks(opened: Session, plan: Plan, columns: Sequence[Column]) -> Marks | None:
    """Count them before others wait for the transaction; None when it is too early.

    The claim, which the transaction checks, then says that staging is still the same.
    """
    if plan.keep_latest:
        # it takes rows out of staging
        return None
    try:
        return count_marks(opened, plan, columns)
    except (ConfigurationError, LockTimeout):
        # staging may be another run's by now, which the claim tells
        return None


def staged_warnings(plan: Plan, marks: Marks) -> Iterator[str]:
    """Yield warnings about the rows in staging, after their keys were made unique."""
    if plan.strategy is Strategy.FULL:
        return
    if marks.without:
        yield (
            f"Rows that came without {plan.watermark}: {marks.without}. Later runs ask for what is above the highest, "
            "and do not see what changes in them. Take another watermark_column, or a COALESCE of it in the query."
        )
    if marks.sharing > 1:
        yield (
            f"{marks.sharing} rows share the highest {plan.watermark}. Numbers are compared with >, so a row that "
            "comes later with the same value is never read. Set the module's overlap to 1, which compares with >=, or "
            "take a watermark_column whose values are unique."
            + (implied_watermark.not_unique(plan.watermark) if plan.watermark_is_implied else "")
        )


def published_warnings(
    opened: Session, plan: Plan, columns: Sequence[Column], marks: Marks, value: str | None
) -> Iterator[str]:
    """Yield warnings about the destination's highest value as it is after the publish: it bounds the next run."""
    column = next((c for c in columns if c.dest_name == plan.watermark), None)
    if column is None or value is None:
        return
    yield from future_warnings(opened, plan, value)
    compared = compared_type(registry.dialect(plan.source.kind), source_type(plan, column), column.data_type)
    if compared.kind is not Kind.TEXT or column.data_type.kind is not Kind.TEXT:
        return
    # of a value with an offset the bound goes back a day
    if marks.with_offset and Timestamp.parse(value) is not None and not has_offset(value):
        yield (
            f"Some {plan.watermark} have an offset from UTC, and the highest, {value}, has none. As texts they are not "
            "in the order of time, and later rows can be left out. Make the destination column a timestamp with time "
            "zone, or write all of them in UTC in the query."
        )
    elif re.fullmatch("9+", value):
        yield (
            f"The highest {plan.watermark} is the number {value} kept as text, and as text {int(value) + 1} sorts "
            "before it: longer numbers are not read. Write it as a number into the query, as in CAST(.. AS bigint) AS "
            f"{plan.watermark}, and make the destination column one."
        )


def implied_warnings(plan: Plan, table: TableInfo | None, columns: Sequence[Column]) -> Iterator[str]:
    """Yield a warning when a key column that may not grow bounds the query because no watermark column is named."""
    column = next((c for c in columns if c.dest_name == plan.watermark), None)
    if column is None or not plan.watermark_is_implied or plan.repair is not None:
        return
    info = table.column(column.dest_name) if table else None
    # of a new table's column a dry run may know no more than that the query trims it
    data_type = info.data_type if info else DataType(kind=Kind.TEXT) if column.trim else column.data_type
    if implied_watermark.may_not_grow(data_type):
        yield implied_watermark.warning(plan.watermark, data_type)


def future_warnings(opened: Session, plan: Plan, value: str | None) -> Iterator[str]:
    """Yield a warning when the destination's highest value lies in the future, by the destination's clock."""
    if value is not None and (
        _in_future(opened, dialect_of(plan), value) or _is_never_among_dates(opened, plan, value)
    ):
        yield (
            f"The highest {plan.watermark} of the destination is {value}, which lies in the future: rows below it are "
            "not read any more. Correct or remove the row with that value at the source and in the destination, leave "
            "it out in the query, or choose another watermark_column."
        )


def _is_never_among_dates(opened: Session, plan: Plan, value: str) -> bool:
    """Whether the value is all nines and the one below it is a date of as many digits."""
    digits = _whole(value)
    if not _NINES.fullmatch(digits):
        return False
    below = opened.fetch(dialect_of(plan).second_highest(plan.dest_table, plan.watermark))[0][0]
    other = _whole(str(below or ""))
    return len(other) == len(digits) and _DIGITS_OF_DATE.fullmatch(other) is not None


def _whole(value: str) -> str:
    return value.partition(".")[0]


def _in_future(opened: Session, dialect: PublishingDialect, value: str) -> bool:
    if _NEVER.fullmatch(_whole(value)):
        return True
    moment = Timestamp.parse(value)
    if moment is None:
        return False
    if moment.date[4] != "-":
        # a year of another length than four digits
        return moment.date[0] != "-"
    now = Timestamp.parse(str(opened.fetch(dialect.clock())[0][0]))
    if now is None:
        return False
    try:
        return datetime.fromisoformat(moment.utc().text(6)) > datetime.fromisoformat(now.utc().text(6)) + _TOLERANCE
    except (DataError, ValueError):
        return moment.date >= "9999"
