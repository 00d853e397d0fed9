"""Checks for values that PostgreSQL would truncate or round, or refuse without naming them, before they are sent."""

from __future__ import annotations

import re

import pyarrow as pa

from connections.connectors.postgresql.copy import native_texts
from connections.sdk.arrow import compute as pc
from connections.sdk.arrow.invalid_values import invalid_value
from connections.sdk.arrow.text_search import first_nul, has_nul
from connections.sdk.schema import Column
from connections.sdk.types import Kind

_LENGTH = re.compile(r"\s*(?:character varying|varchar|character|char|bpchar)\s*\((\d+)\)\s*", re.IGNORECASE)
_FRACTION = re.compile(r"\s*time(?:stamp)?(?:tz)?\s*\((\d)\).*", re.IGNORECASE)
_MICROS = 6


def check_array(array: pa.Array, column: Column) -> None:
    """Raise InvalidValue for the first value that the column would not store exactly."""
    if pa.types.is_string(array.type):
        if has_nul(array):
            raise invalid_value(
                column,
                first_nul(array),
                why="contains a NUL byte, which PostgreSQL cannot store in text",
                hint="Remove it in the source query, or set the option nul_bytes to strip.",
            )
        _check_length(array, column)
        if column.data_type.kind is Kind.NATIVE:
            native_texts.check_array(array, column)
    elif column.data_type.kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        _check_fraction(array, column)


def max_length(column: Column) -> int:
    """Return the number of characters that the column's type holds, 0 if it has no limit."""
    match = _LENGTH.fullmatch(column.dest_type)
    return int(match[1]) if match else 0


def unit(column: Column) -> int:
    """Return the microseconds of which the type of the column, a time or timestamp, holds multiples."""
    match = _FRACTION.fullmatch(column.dest_type)
    return 10 ** max(0, _MICROS - int(match[1])) if match else 1


def _check_length(array: pa.Array, column: Column) -> None:
    limit = max_length(column)
    if not limit:
        return
    # the server silently drops blanks beyond the length
    long = pc.greater(pc.utf8_length(array), limit)
    if pc.any(long).as_py():
        raise invalid_value(column, array.filter(long)[0].as_py(), why=f"is longer than {column.dest_type}")


def _check_fraction(array: pa.Array, column: Column) -> None:
    step = unit(column)
    if step == 1:
        return
    count = array.cast(pa.int64())
    has_remainder = pc.not_equal(pc.multiply(pc.divide(count, step), step), count)
    if pc.any(has_remainder).as_py():
        raise invalid_value(
            column, array.filter(has_remainder)[0].as_py(), why=f"has more digits than {column.dest_type}"
        )
