"""Step one, resolve: the highest watermark value of the destination, and the values of the query's named watermarks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import field
from decimal import Decimal, localcontext

from connections import registry
from connections.sdk.errors import ColumnMissing, ConfigurationInvalid, DataError, TableMissing
from connections.sdk.records import dataclass
from connections.sdk.schema import TableInfo
from connections.sdk.sql.dialect import Dialect
from connections.sdk.sql.watermark_timestamps import lowest_spelling
from connections.sdk.types import DataType, Kind
from modules.overlap import overlap_interval, overlap_number
from modules.query.placeholders import unused
from runs.engine.destination import Destination
from runs.engine.events import Event, Warned, WatermarkResolved
from runs.engine.plan import NamedWatermark, Plan
from runs.engine.sessions import for_plan, open_session
from runs.engine.watermarks.first_run import needs_first_run
from runs.engine.watermarks.types import check_maximum

# the spellings of NULL as text, including common settings of psql's \pset null
_NULLS = frozenset({"", "∅", "null", "(null)", "[null]", "<null>", "none", r"\n", "nil"})
_TEMPORAL = frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The highest value of the watermark column as its exact text; None when all rows are to be read."""

    column: str
    value: str | None
    # the type of the destination's column
    data_type: DataType = field(default_factory=DataType.unknown)


def is_null(text: str | None) -> bool:
    """Return whether a resolved value is NULL or one of its spellings as text."""
    return text is None or text.strip().lower() in _NULLS


def resolve_named(plan: Plan) -> Iterator[Event]:
    """Yield every named watermark with its value: the first column of the first row, else its default.

    A watermark that the query does not use is not resolved; a warning says so.
    """
    dialect = registry.dialect(plan.source.kind)
    not_used = unused(plan.source_query, dialect, [watermark.name for watermark in plan.named_watermarks])
    for watermark in plan.named_watermarks:
        if watermark.name in not_used:
            yield Warned(f"The watermark {{{watermark.name}}} is not used in the query, so it bounds nothing.")
        else:
            yield WatermarkResolved(watermark.name, _resolve(watermark, plan))


def _resolve(watermark: NamedWatermark, plan: Plan) -> str:
    with open_session(for_plan(watermark.connection, dry_run=plan.dry_run)) as session:
        try:
            # a resolver must not write: it also runs in dry runs and at destinations
            row = session.fetch_read_only(watermark.resolver_sql)
        except TableMissing as error:
            if not needs_first_run(session, plan, watermark):
                raise
            return _before_first_run(watermark, plan, error)
    value = _text(row[0]) if row else None
    if not is_null(value):
        return str(value)
    if watermark.default is not None:
        return watermark.default
    raise ConfigurationInvalid(
        f"The watermark {{{watermark.name}}} has no value: its query returned nothing.",
        hint="Give the watermark a default_value, or correct its resolver_sql.",
    )


def _before_first_run(watermark: NamedWatermark, plan: Plan, error: TableMissing) -> str:
    if watermark.default is not None:
        return watermark.default
    raise TableMissing(
        f"The watermark {{{watermark.name}}} has no value yet: its query reads {plan.dest_table}, which the "
        "module's first run creates.",
        hint="Give the watermark a default_value for the first run.",
        detail=error.detail or error.message,
    ) from error


def _text(value: object) -> str | None:
    if value is None:
        return None
    # str() of a datetime is its ISO form, while that of a Decimal may have an exponent
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def highest(dest: Destination, table: TableInfo | None) -> Bound:
    """Return the bound by the destination's highest watermark; its value is None without a table or a value.

    Raises ColumnMissing when the table has no such column, ConfigurationInvalid when its type has no maximum.
    """
    column = dest.plan.watermark
    if table is None:
        return Bound(column=column, value=None)
    info = table.column(column)
    if info is None:
        names = ", ".join(c.name for c in table.columns)
        raise ColumnMissing(
            f"The destination {table.name} has no watermark column “{column}”.", hint=f"Its columns are {names}."
        )
    check_maximum(dest, column, info.data_type)
    rows = dest.session.fetch(dest.dialect.maximum(table.name, column))
    value = _text(rows[0][0])
    return Bound(column=column, value=None if is_null(value) else value, data_type=info.data_type)


def predicate(expression: str, bound: Bound, *, dialect: Dialect, source_type: DataType, overlap: str) -> str:
    """Return the condition that selects newer rows: ``>`` for numbers, ``>=`` for dates, times and text.

    With an overlap it is always ``>=``. The literal has the source's type if that is known, else the destination's.
    """
    assert bound.value is not None
    data_type = compared_type(dialect, source_type, bound.data_type)
    overlap_type = bound.data_type if bound.data_type.kind in _TEMPORAL or bound.data_type.is_numeric else data_type
    value = minus_overlap(bound.value, overlap_type, overlap)
    strict = data_type.is_numeric and not overlap
    try:
        literal = _literal(value, data_type, bound, dialect=dialect, source_type=source_type)
    except DataError as error:
        raise DataError(
            f"The highest “{bound.column}” of the destination is “{value}”, which cannot bound the source query: "
            f"{error.message}",
            hint="Correct or remove the row with that value, or choose another watermark_column.",
        ) from error
    return f"{expression} {'>' if strict else '>='} {literal}"


def compared_type(dialect: Dialect, source_type: DataType, dest_type: DataType) -> DataType:
    """Return the type in which the source compares: its own column's if that is known, else the destination's."""
    if source_type.kind in (Kind.UNKNOWN, Kind.NATIVE) or (
        dialect.compares_as_text(source_type) and dest_type.is_numeric
    ):
        return dest_type
    return source_type


def _literal(value: str, data_type: DataType, bound: Bound, *, dialect: Dialect, source_type: DataType) -> str:
    """Return the bound as an SQL literal that the source sorts at or below the value.

    Raises DataError for values that cannot bound anything, such as NaN, infinity and years before 1.
    """
    if source_type.kind is Kind.NATIVE and data_type.kind in (Kind.NATIVE, Kind.TEXT):
        return dialect.own_literal(value, source_type)
    if not dialect.compares_as_text(source_type) or data_type.is_numeric:
        return dialect.literal(value, data_type)
    with suppress(DataError):
        if dialect.may_hold_numbers(source_type):
            # as text it would sort after every number
            return dialect.literal(value, DataType(kind=Kind.DECIMAL))
    kinds = {source_type.kind, bound.data_type.kind}
    spelled = lowest_spelling(value, Kind.TIMESTAMPTZ if Kind.TIMESTAMPTZ in kinds else bound.data_type.kind)
    if spelled is None and kinds & (_TEMPORAL | {Kind.TIME}):
        raise DataError(f"“{value}” is not a date or time.", hint="Expected the ISO form, such as 2026-01-31 23:59:59.")
    return dialect.string(value if spelled is None else spelled)


def minus_overlap(value: str, data_type: DataType, overlap: str) -> str:
    """Return the bound moved back by the module's overlap, in exact arithmetic with microseconds."""
    if not overlap:
        return value
    if data_type.is_numeric:
        # enough digits for any exact number of a database
        with localcontext(prec=1000):
            return format(Decimal(value) - _number(overlap), "f")
    try:
        return _earlier(value, data_type, overlap)
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"An overlap cannot be subtracted from the watermark “{value}”.",
            hint="Remove the row with that value from the destination, or the overlap from the module.",
        ) from error


def _earlier(value: str, data_type: DataType, overlap: str) -> str:
    if data_type.kind is Kind.DATE:
        days = -(-_interval(overlap) // dt.timedelta(days=1))
        return (dt.date.fromisoformat(value) - dt.timedelta(days=days)).isoformat()
    if data_type.kind in _TEMPORAL:
        return (dt.datetime.fromisoformat(value) - _interval(overlap)).isoformat(sep=" ")
    raise ConfigurationInvalid(
        f"An overlap of “{overlap}” cannot be subtracted from a {data_type.kind.value} watermark.",
        hint="Overlaps work on numbers, dates and timestamps.",
    )


def _number(text: str) -> Decimal:
    # a negative overlap would silently skip rows
    if (number := overlap_number(text)) is not None:
        return number
    raise ConfigurationInvalid(
        f"The overlap “{text}” is not a number of at least 0, and the watermark column is one.",
        hint="Write for example 1000.",
    )


def _interval(text: str) -> dt.timedelta:
    if (interval := overlap_interval(text)) is not None:
        return interval
    raise ConfigurationInvalid(
        f"The overlap “{text}” is not an interval.", hint="Write for example 2 days, or 1 hour 30 minutes."
    )
