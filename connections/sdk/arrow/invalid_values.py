"""The error for a value that its column cannot hold exactly; it names the column, shows the value and gives a hint."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from connections.sdk.arrow.calendar import calendar_text
from connections.sdk.errors import InvalidValue
from connections.sdk.schema import Column
from connections.sdk.types import Kind

if TYPE_CHECKING:
    import pyarrow as pa

_MAX_LENGTH = 80
_TEMPORAL = frozenset({Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
# an offset is recognised only after a time of day: in 2026-01-31 the -31 is the day
_OFFSET = re.compile(r"(\d\d:\d\d|T\d{2,6})[\d:.,]* ?(Z|[+-]\d\d(:?\d\d)?)$")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_CALENDAR_DAY = re.compile(r"([+-]?\d+)-(\d\d)-(\d\d)(?!\d)")


def invalid_value(column: Column, example: Any, *, why: str = "", hint: str = "", detail: str = "") -> InvalidValue:
    """Return the error for the value ``example`` of ``column``.

    ``why`` is the predicate of the message ("is longer than varchar(20)"); ``hint`` replaces the one made from the type
    of the column and the value.
    """
    reason = why or f"does not fit {column.dest_type or column.data_type.kind.value} exactly"
    return InvalidValue(
        f"Column “{column.dest_name}”: {_quoted(example)} {reason}.",
        hint=hint or _hint(column, example),
        detail=detail,
    )


def _quoted(value: Any) -> str:
    """Return a value for a message: text in quotes with control characters escaped, long values truncated."""
    if isinstance(value, bytes):
        text = f"the bytes 0x{value[: _MAX_LENGTH // 2].hex()}"
    elif isinstance(value, str):
        text = value[:_MAX_LENGTH]
        text = f"“{text if text.isprintable() else text.encode('unicode_escape').decode()}”"
    else:
        text = str(value)[:_MAX_LENGTH]
    return text + ("…" if isinstance(value, str | bytes) and len(value) > _MAX_LENGTH else "")


def _hint(column: Column, example: Any) -> str:
    kind, text = column.data_type.kind, str(example)
    if kind in _TEMPORAL and re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", text):
        return "It looks like a date without hyphens: convert it in the source query."
    if kind in _TEMPORAL and re.fullmatch(r"-?\d{6,19}(\.\d+)?", text):
        return "It looks like a Unix timestamp: convert it in the source query, for example datetime(x, 'unixepoch')."
    if kind in _TEMPORAL and text.startswith("0000"):
        return "There is no year 0: convert such values to NULL in the source query, or make the column text."
    if kind in _TEMPORAL and (day := _CALENDAR_DAY.match(text)) and not _is_day(*map(int, day.groups())):
        return "This day does not exist: convert such values to NULL in the source query, or make the column text."
    if kind in _TEMPORAL and day and (not 0 < int(day[1]) < 10_000 or text.endswith(" BC")):
        return (
            f"Its year is out of range for {column.dest_type or kind.value} in the destination: convert such values to"
            " NULL in the source query, or make the destination column text."
        )
    if kind in (Kind.DATE, Kind.TIME, Kind.TIMESTAMP) and _OFFSET.search(text):
        return "It has a time zone: make the destination column timestamptz, or convert it in the source query."
    if kind is Kind.DECIMAL and not _NUMBER.fullmatch(text):
        return "It is not a number: correct it at the source, or make it NULL in the source query with NULLIF or CASE."
    if kind is Kind.DECIMAL:
        return "Widen the destination column's type, or use ROUND() in the source query."
    return "Change the destination column's type, or correct the value in the source query."


def _is_day(year: int, month: int, day: int) -> bool:
    # the calendar repeats every 400 years; Python's has only the years 1 to 9999
    return 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year % 400 + 400, month)[1]


def converted(array: pa.Array, column: Column, convert: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Return ``convert(array)``. Raises InvalidValue with the first value for which ``convert`` raises ArrowInvalid."""
    import pyarrow as pa

    try:
        return convert(array)
    except pa.ArrowInvalid as error:
        raise invalid_value(column, first_failing(array, convert), detail=str(error)) from None


def first_failing(array: pa.Array, convert: Callable[[pa.Array], object]) -> Any:
    """Return the first value for which ``convert`` raises ArrowInvalid, by bisection; None when it raises for none."""
    import pyarrow as pa

    if not _fails(array, convert, pa.ArrowInvalid):
        return None
    while len(array) > 1:
        half = array.slice(0, len(array) // 2)
        array = half if _fails(half, convert, pa.ArrowInvalid) else array.slice(len(array) // 2)
    return first_value(array)


def first_value(array: pa.Array) -> Any:
    """Return the first value as a Python object.

    Text that is not valid UTF-8 is returned as bytes, dates and times as text, because Python's types do not cover
    every year.
    """
    import pyarrow as pa

    try:
        return calendar_text(array) if pa.types.is_temporal(array.type) else array[0].as_py()
    except UnicodeDecodeError:
        return array.view(pa.binary())[0].as_py()


def _fails(array: pa.Array, convert: Callable[[pa.Array], object], error: type[Exception]) -> bool:
    try:
        convert(array)
    except error:
        return True
    return False
