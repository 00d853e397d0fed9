"""Lossless conversion of Arrow arrays to the Arrow type of a destination column.

A value that cannot be converted exactly raises InvalidValue, which names the column and shows the value. Infinite dates
and timestamps are represented by the largest integer of their type and its negative.
"""

from __future__ import annotations

import pyarrow as pa

from connections.sdk.arrow import compute as pc
from connections.sdk.arrow import numbers, texts, times
from connections.sdk.arrow.decimals import checked_decimal_text
from connections.sdk.arrow.invalid_values import first_failing, invalid_value
from connections.sdk.schema import Column
from connections.sdk.types import DataType, Kind, to_arrow

_CONVERTERS = {
    Kind.BOOLEAN: numbers.to_boolean,
    Kind.SMALLINT: numbers.to_integer,
    Kind.INTEGER: numbers.to_integer,
    Kind.BIGINT: numbers.to_integer,
    Kind.DECIMAL: numbers.to_decimal,
    Kind.REAL: numbers.to_real,
    Kind.DOUBLE: numbers.to_double,
    Kind.DATE: times.to_date,
    Kind.TIME: times.to_time,
    Kind.TIMESTAMP: times.to_timestamp,
    Kind.TIMESTAMPTZ: times.to_timestamptz,
}


def convert_exactly(array: pa.Array, column: Column) -> pa.Array:
    """Return ``array`` converted to ``to_arrow(column.data_type)``.

    Raises InvalidValue for the first value that would be rounded or truncated, and for text that is not valid UTF-8.
    """
    target = to_arrow(column.data_type)

    def convert(part: pa.Array) -> pa.Array:
        return _converted(part, column.data_type, target)

    try:
        return convert(array)
    except pa.ArrowInvalid as error:
        reason = "" if _is_utf8(array) else "is not valid UTF-8 text"
        raise invalid_value(column, first_failing(array, convert), why=reason, detail=_first_line(error)) from None
    except pa.ArrowNotImplementedError:
        values = array.drop_null()
        raise invalid_value(
            column,
            values[0].as_py() if len(values) else None,
            why=f"({array.type}) cannot be converted exactly to {target}",
        ) from None


def _converted(array: pa.Array, data_type: DataType, target: pa.DataType) -> pa.Array:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if array.null_count == len(array):
        return pa.nulls(len(array), target)
    if pa.types.is_string(target):
        text = _to_text(array)
        return checked_decimal_text(text, data_type) if data_type.kind is Kind.DECIMAL else text
    if pa.types.is_binary(target):
        return _to_binary(array)
    return _CONVERTERS[data_type.kind](array, target)


def _to_text(array: pa.Array) -> pa.Array:
    if pa.types.is_binary(array.type) or pa.types.is_nested(array.type):
        raise pa.ArrowInvalid("bytes are not text")
    if pa.types.is_temporal(array.type):
        array = times.iso_text(array)
    elif pa.types.is_decimal(array.type):
        array = texts.plain_digits(array)
    elif not pa.types.is_string(array.type):
        array = array.cast(pa.string())
    array.validate(full=True)
    return array


def _to_binary(array: pa.Array) -> pa.Array:
    if pa.types.is_string(array.type):
        raise pa.ArrowInvalid("text is not bytes")
    return pc.cast(array, pa.binary())


def _is_utf8(array: pa.Array) -> bool:
    if not pa.types.is_string(array.type):
        return True
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else ""
