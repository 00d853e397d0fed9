"""The option ``--since``: compares only rows whose watermark column is at least a value, on both sides."""

from __future__ import annotations

from collections.abc import Sequence

from connections import registry
from connections.sdk.errors import ConfigurationInvalid, DataError
from connections.sdk.records import dataclass
from connections.sdk.schema import Column, TableInfo
from connections.sdk.sql.dialect import Dialect
from connections.sdk.types import DataType, Kind
from runs.engine.destination import Destination
from runs.engine.watermarks import bounds

_COMPARABLE = frozenset(
    {Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT, Kind.DECIMAL, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """Rows with ``column >= value``: ``value`` as exact text, ``data_type`` that of the destination's column."""

    column: str
    value: str
    data_type: DataType

    def condition(self, expression: str, dialect: Dialect) -> str:
        """Return the SQL condition on the column's expression."""
        return f"{expression} >= {dialect.literal(self.value, self.data_type)}"

    def streamed_condition(self, columns: Sequence[Column]) -> str:
        """Return the condition in DuckDB's SQL, on the columns of a `StreamedSide`."""
        position = [column.dest_name for column in columns].index(self.column)
        return self.condition(f"c{position}", registry.dialect("duckdb"))


def parse_since(text: str, dest: Destination, info: TableInfo) -> Since:
    """Parse a value of the watermark column, or an interval (`2 days`) before the destination's highest value.

    Raises ConfigurationInvalid when the text is no such value, or when the module has no watermark column, or one of a
    type that systems order differently.
    """
    plan = dest.plan
    column = info.column(plan.watermark) if plan.watermark else None
    if column is None:
        raise ConfigurationInvalid(
            f"{plan.module} has no watermark column, so new rows cannot be selected.",
            hint="Give the module a watermark_column, or verify it without --since.",
        )
    data_type = column.data_type
    if data_type.kind not in _COMPARABLE or (data_type.kind is Kind.DECIMAL and data_type.precision is None):
        raise ConfigurationInvalid(
            f"--since cannot select rows by {column.name}, a column of type {column.native_type}.",
            hint="It works on integers, numeric(p,s), dates and timestamps. Verify the whole table.",
        )
    value = _before_highest(text, dest, info, data_type) if _is_interval(text, data_type) else text
    since = Since(column=column.name, value=value, data_type=data_type)
    try:
        since.condition(column.name, dest.dialect)
    except DataError as error:
        raise ConfigurationInvalid(
            f"--since {text}: {error.message}",
            hint=f"{column.name} is a column of type {column.native_type}: {_expected(data_type)}",
        ) from None
    return since


def _expected(data_type: DataType) -> str:
    if data_type.is_numeric:
        return "write a number such as 4000. Intervals are for dates and timestamps."
    example = "2026-01-31" if data_type.kind is Kind.DATE else "“2026-01-31 23:59:59”"
    return f"write a value such as {example}, or an interval such as “2 days”."


def _is_interval(text: str, data_type: DataType) -> bool:
    return not data_type.is_numeric and text[:1].isdigit() and any(unit in text for unit in ("hour", "day", "week"))


def _before_highest(text: str, dest: Destination, info: TableInfo, data_type: DataType) -> str:
    bound = bounds.highest(dest, info)
    if bound.value is None:
        raise ConfigurationInvalid(
            f"{dest.table} is empty, so it has no highest {dest.plan.watermark} to subtract the interval from.",
            hint="Write a value of the column instead of an interval.",
        )
    return bounds.minus_overlap(bound.value, data_type, text)
