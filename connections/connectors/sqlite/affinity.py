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
    text = as_text(array, column)
    if keeps_text(column.dest_type):
        return text
    return _as_number(text, column) if column.data_type.kind is Kind.DECIMAL else _unlike_number(text, column)


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
