"""Warnings about a watermark with which the next runs will miss rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from connections import registry
from connections.sdk.errors import ConfigurationError, DataError, LockTimeout
from connections.sdk.records import dataclass
from connections.sdk.schema import Column, TableInfo
from connections.sdk.sql.watermark_timestamps import Timestamp, has_offset
from connections.sdk.types import DataType, Kind
from modules import implied_watermark
from runs.engine.destination import Destination
from runs.engine.plan import Plan
from runs.engine.watermarks.bounds import compared_type
from runs.engine.watermarks.types import source_type

# for differing clocks and time zones
_TOLERANCE = timedelta(days=1)
# the end of the calendar as digits, such as 99991231 or 99991231235959: "never" in systems without NULL
_NEVER = re.compile(r"9999123[01](\d{6})?")
# only nines: "never" if the other values are dates, else an ordinary number
_NINES = re.compile(r"9{8}|9{14}")
_DIGITS_OF_DATE = re.compile(r"(19|2[01]|99)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(([01]\d|2[0-4])[0-5]\d[0-5]\d)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarkCounts:
    """Rows of staging: without a watermark, with the highest one (if ties matter), with a UTC offset in a text."""

    without: int = 0
    sharing: int = 0
    with_offset: int = 0


def count_watermarks(dest: Destination, columns: Sequence[Column]) -> WatermarkCounts:
    """Count in one query over staging what the warnings need."""
    plan = dest.plan
    column = next((c for c in columns if c.dest_name == plan.watermark), None)
    if column is None:
        return WatermarkCounts()
    compared = compared_type(registry.dialect(plan.source.kind), source_type(plan, column), column.data_type)
    bounded = not plan.strategy.traits.replaces_all
    # if the column is the whole key, no two rows share a value
    ties = bounded and compared.is_numeric and not plan.overlap and plan.merge_key != (plan.watermark,)
    offsets = compared.kind is Kind.TEXT and column.data_type.kind is Kind.TEXT
    if not bounded and not offsets:
        return WatermarkCounts()
    sql = dest.dialect.count_watermark_values(dest.staging, plan.watermark, ties=ties, offsets=offsets)
    without, sharing, with_offset = map(int, dest.session.fetch(sql)[0])
    return WatermarkCounts(without=without, sharing=sharing, with_offset=with_offset)


def count_before_transaction(dest: Destination, columns: Sequence[Column]) -> WatermarkCounts | None:
    """Count before the publish transaction, which others may wait for; None if it has to be done there.

    The transaction checks the claim, and with it that staging has not changed in between.
    """
    if dest.plan.keep_latest:
        # the transaction deletes rows from staging first
        return None
    try:
        return count_watermarks(dest, columns)
    except (ConfigurationError, LockTimeout):
        # another run may have claimed staging, which the transaction detects
        return None


def staged_warnings(plan: Plan, counts: WatermarkCounts) -> Iterator[str]:
    """Yield warnings about the rows in staging, after duplicate keys were removed."""
    if plan.strategy.traits.replaces_all:
        return
    if counts.without:
        yield (
            f"Rows without a value of {plan.watermark}: {counts.without}. Later runs read only rows above the highest "
            "value, so they miss changes in these rows. Choose another watermark_column, or use COALESCE in the query."
        )
    if counts.sharing > 1:
        yield (
            f"{counts.sharing} rows share the highest {plan.watermark}. Numbers are compared with >, so a row that is "
            "added later with the same value is never read. Set the module's overlap to 1, which compares with >=, or "
            "choose a watermark_column whose values are unique."
            + (implied_watermark.not_unique(plan.watermark) if plan.watermark_is_implied else "")
        )


def published_warnings(
    dest: Destination, columns: Sequence[Column], counts: WatermarkCounts, value: str | None
) -> Iterator[str]:
    """Yield warnings about the destination's highest value after the publish, which bounds the next run."""
    plan = dest.plan
    column = next((c for c in columns if c.dest_name == plan.watermark), None)
    if column is None or value is None:
        return
    yield from future_warnings(dest, value)
    compared = compared_type(registry.dialect(plan.source.kind), source_type(plan, column), column.data_type)
    if compared.kind is not Kind.TEXT or column.data_type.kind is not Kind.TEXT:
        return
    # if the highest value has an offset, the bound is moved back a day, which is enough
    if counts.with_offset and Timestamp.parse(value) is not None and not has_offset(value):
        yield (
            f"Some {plan.watermark} have an offset from UTC, and the highest, {value}, has none. As text they do not "
            "sort by time, so later rows can be missed. Make the destination column a timestamp with time zone, or "
            "convert all values to UTC in the query."
        )
    elif re.fullmatch("9+", value):
        yield (
            f"The highest {plan.watermark} is the number {value} stored as text, and as text {int(value) + 1} sorts "
            "before it: longer numbers are not read. Convert it to a number in the query, as in CAST(.. AS bigint) AS "
            f"{plan.watermark}, and make the destination column a number."
        )


def implied_warnings(plan: Plan, table: TableInfo | None, columns: Sequence[Column]) -> Iterator[str]:
    """Yield a warning when the watermark is implied by the key and its column may not grow with new rows."""
    column = next((c for c in columns if c.dest_name == plan.watermark), None)
    if column is None or not plan.watermark_is_implied or plan.repair is not None:
        return
    info = table.column(column.dest_name) if table else None
    # of a new table's column a dry run may only know that the query trims it, so that it is text
    data_type = info.data_type if info else DataType(kind=Kind.TEXT) if column.trim else column.data_type
    if implied_watermark.may_not_grow(data_type):
        yield implied_watermark.warning(plan.watermark, data_type)


def future_warnings(dest: Destination, value: str | None) -> Iterator[str]:
    """Yield a warning when the destination's highest value lies in the future, by the destination's clock."""
    if value is not None and (_in_future(dest, value) or _is_never_among_dates(dest, value)):
        yield (
            f"The highest {dest.plan.watermark} of the destination is {value}, which lies in the future: rows below it "
            "are no longer read. Correct or remove the row with that value at the source and in the destination, "
            "exclude it in the query, or choose another watermark_column."
        )


def _is_never_among_dates(dest: Destination, value: str) -> bool:
    """Return whether the value is all nines and the next lower one is a date with as many digits."""
    digits = _whole(value)
    if not _NINES.fullmatch(digits):
        return False
    below = dest.session.fetch(dest.dialect.second_highest(dest.table, dest.plan.watermark))[0][0]
    other = _whole(str(below or ""))
    return len(other) == len(digits) and _DIGITS_OF_DATE.fullmatch(other) is not None


def _whole(value: str) -> str:
    return value.partition(".")[0]


def _in_future(dest: Destination, value: str) -> bool:
    if _NEVER.fullmatch(_whole(value)):
        return True
    timestamp = Timestamp.parse(value)
    if timestamp is None:
        return False
    if timestamp.date[4] != "-":
        # a year with more than four digits, or before year 1
        return timestamp.date[0] != "-"
    now = Timestamp.parse(str(dest.session.fetch(dest.dialect.current_timestamp())[0][0]))
    if now is None:
        return False
    try:
        return datetime.fromisoformat(timestamp.utc().text(6)) > datetime.fromisoformat(now.utc().text(6)) + _TOLERANCE
    except (DataError, ValueError):
        return timestamp.date >= "9999"
