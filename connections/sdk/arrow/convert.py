"""Arrow arrays to the Arrow type of a destination column: exactly, or ValueMisfit with column and example.

Infinite dates and timestamps travel as the largest and smallest-but-one integer of their type.
"""

from __future__ import annotations

import pyarrow as pa

from connections.sdk.arrow import numbers, texts, times
from connections.sdk.arrow.decimals import spelled_decimal
from connections.sdk.arrow.invalid_values import first_failing, misfit
from connections.sdk.schema import Column
from connections.sdk.sql.types import DataType, Kind, to_arrow

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


def exactly(array: pa.Array, column: Column) -> pa.Array:
    """Return ``array`` as `to_arrow(column.data_type)`.

    Nothing is rounded, cut or guessed: the first value that would be raises ValueMisfit. Text is checked to be UTF-8.
    """
    target = to_arrow(column.data_type)

    def convert(part: pa.Array) -> pa.Array:
        return _converted(part, column.data_type, target)

    try:
        return convert(array)
    except pa.ArrowInvalid as error:
        raise misfit(column, first_failing(array, convert), why=_why(array), detail=_line(error)) from None
    except pa.ArrowNotImplementedError:
        found = array.drop_null()
        raise misfit(
            column, found[0].as_py() if len(found) else None, why=f"({array.type}) has no exact form as {target}"
        ) from None


def _converted(array: pa.Array, data_type: DataType, target: pa.DataType) -> pa.Array:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if array.null_count == len(array):
        return pa.nulls(len(array), target)
    if pa.types.is_string(target):
        text = _text(array)
        return spelled_decimal(text, data_type) if data_type.kind is Kind.DECIMAL else text
    if pa.types.is_binary(target):
        return _binary(array)
    return _CONVERTERS[data_type.kind](array, target)


def _text(array: pa.Array) -> pa.Array:
    if pa.types.is_binary(array.type) or pa.types.is_nested(array.type):
        raise pa.ArrowInvalid("bytes are not text")
    if not pa.types.is_string(array.type):
        array = _text_of(array)
    array.validate(full=True)
    return array


def _text_of(array: pa.Array) -> pa.Array:
    if pa.types.is_temporal(array.type):
        return times.spelled(array)
    return texts.digits(array) if pa.types.is_decimal(array.type) else array.cast(pa.string())


def _binary(array: pa.Array) -> pa.Array:
    if pa.types.is_string(array.type):
        raise pa.ArrowInvalid("text is not bytes")
    return array.cast(pa.binary())


def _why(array: pa.Array) -> str:
    return "is not valid UTF-8 text" if pa.types.is_string(array.type) and not _valid(array) else ""


def _valid(array: pa.Array) -> bool:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _line(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else ""
