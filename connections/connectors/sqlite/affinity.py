"""Conversion of Arrow arrays to SQLite's storage classes, with checks for values that a column's affinity would change.

Affinity rules: https://www.sqlite.org/datatype3.html section 3.1. In a column of numeric affinity text that looks like
a number is stored as a number, of which SQLite keeps fifteen digits.
"""

from __future__ import annotations

import pyarrow as pa

from connections.sdk.arrow import compute as pc
from connections.sdk.arrow.invalid_values import invalid_value
from connections.sdk.arrow.texts import as_text
from connections.sdk.schema import Column
from connections.sdk.types import Kind

_NUMBER = r"^\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
_EXACT_DIGITS = 15
_INTEGER_DIGITS = 18
# the largest power of ten that is a double
_EXACT_POWER = 22


def keeps_text(declared: str) -> bool:
    """Return whether a column of the declared type stores text unchanged: its affinity is TEXT or BLOB."""
    name = declared.upper()
    if "INT" in name:
        return False
    return any(word in name for word in ("CHAR", "CLOB", "TEXT", "BLOB")) or not name.strip()


def stored(array: pa.Array, column: Column) -> pa.Array:
    """Return ``array`` as it is bound to parameters. Raises InvalidValue for a value that SQLite would change."""
    kind = array.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return pc.cast(array, pa.int64())
    if pa.types.is_floating(kind):
        _refuse(array, pc.is_nan(array), column, "is not a number, which SQLite would store as NULL")
        return pc.cast(array, pa.float64())
    if pa.types.is_binary(kind):
        return array
    if pa.types.is_decimal(kind) and (number := _numbers(array, column)) is not None:
        return number
    text = as_text(array, column)
    # dates and times have separators that no number has
    if keeps_text(column.dest_type) or pa.types.is_temporal(kind):
        return text
    return _as_number(text, column) if column.data_type.kind is Kind.DECIMAL else _unlike_number(text, column)


def _numbers(array: pa.Array, column: Column) -> pa.Array | None:
    """Return decimals as the numbers that SQLite would parse from their text, which takes it longer.

    The column's affinity then makes an integer of 17.0 as of the text 17.00. Return None for a column that keeps text,
    for a scale beyond the exact powers of ten, and if a value has too many digits.
    """
    kind = array.type
    if not (digits := number_digits(kind, column)):
        return None
    unscaled = pa.Array.from_buffers(pa.decimal128(38, 0), len(array), array.buffers(), offset=array.offset)
    try:
        whole = unscaled.cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    ends = pc.min_max(whole).as_py()
    if ends["max"] is not None and max(ends["max"], -ends["min"]) >= 10**digits:
        return None
    # the quotient of two exact doubles is the double nearest to the decimal, as is the number that SQLite parses
    return pc.divide(whole.cast(pa.float64()), 10.0**kind.scale) if kind.scale else whole


def number_digits(kind: pa.DataType, column: Column) -> int:
    """Return how many digits a decimal may have to be bound as a number; 0 for a type that is bound as text."""
    # in a STRICT table, ANY keeps text
    keeps = keeps_text(column.dest_type) or column.dest_type.strip().upper() == "ANY"
    if keeps or kind.bit_width != 128 or not 0 <= kind.scale <= _EXACT_POWER:
        return 0
    return _EXACT_DIGITS if kind.scale else _INTEGER_DIGITS


def _as_number(text: pa.Array, column: Column) -> pa.Array:
    digits = pc.utf8_length(pc.replace_substring_regex(text, r"^[+-]?[0.]*|\.|[eE].*$", ""))
    whole = pc.match_substring_regex(text, r"^-?[0-9]{1,18}$")
    _refuse(
        text, pc.and_(pc.greater(digits, _EXACT_DIGITS), pc.invert(whole)), column, "has more digits than SQLite keeps"
    )
    return text


def _unlike_number(text: pa.Array, column: Column) -> pa.Array:
    is_number = pc.match_substring_regex(text, _NUMBER)
    _refuse(text, is_number, column, f"is text that a column declared {column.dest_type} turns into a number")
    return text


def _refuse(array: pa.Array, mask: pa.Array, column: Column, why: str) -> None:
    if pc.any(mask).as_py():
        raise invalid_value(
            column, array.filter(mask)[0].as_py(), why=why, hint="Declare the destination column as text."
        )
