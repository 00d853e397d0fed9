"""Checks text values of types specific to PostgreSQL that the server would silently change.

Types without an Arrow counterpart are transferred as text (arrays, ranges, intervals, money, ...). The server refuses
text that is not a value of the type, but it rounds fractions, and accepts ``-1`` as an oid.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa

from connections.sdk.arrow import compute as pc
from connections.sdk.arrow.invalid_values import first_failing, invalid_value
from connections.sdk.arrow.numbers import check, to_double, to_real
from connections.sdk.schema import Column

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_MICROS = re.compile(r"(time|timestamp|interval)\b.*|timetz|timestamptz|ts(tz)?(multi)?range")
_DOUBLES = frozenset({"double precision", "point", "line", "lseg", "box", "path", "polygon", "circle"})
_UNSIGNED = frozenset({"oid", "xid", "cid", "xid8"})


def element(native: str) -> str:
    """Return the type without length or precision, and for an array that of its elements.

    The result for ``numeric(9,2)[]`` is ``numeric``.
    """
    return re.sub(r"\s*\([^)]*\)|(\[\])+$", "", native.strip().lower())


def check_array(array: pa.Array, column: Column) -> None:
    """Raise InvalidValue for the first text that the column would not store exactly."""
    check_type = _check_for(element(column.dest_type))
    if check_type is None:
        return
    try:
        check_type(array)
    except pa.ArrowInvalid as error:
        raise invalid_value(column, first_failing(array, check_type), detail=str(error)) from None


def _check_for(name: str) -> Callable[[pa.Array], None] | None:
    """Return the check for a type, None when the server itself refuses every text that it would not keep."""
    if _MICROS.fullmatch(name):
        return _max_decimals(6)
    if name == "money":
        return _max_decimals(2)
    if name in _UNSIGNED:
        return lambda array: check(pc.invert(pc.match_substring(array, "-")), "it has a sign")
    if name == "real":
        return lambda array: _check_numbers(array, to_real, pa.float32())
    return (lambda array: _check_numbers(array, to_double, pa.float64())) if name in _DOUBLES else None


def _max_decimals(digits: int) -> Callable[[pa.Array], None]:
    # exponents are refused, because they may stand for any number of decimals
    pattern = rf"\.\d{{{digits}}}\d*[1-9]|\d[eE]-?\d"
    return lambda array: check(pc.invert(pc.match_substring_regex(array, pattern)), f"more than {digits} decimals")


def _check_numbers(array: pa.Array, convert: Callable[[pa.Array, pa.DataType], pa.Array], target: pa.DataType) -> None:
    for text in array.to_pylist():
        if text is not None:
            convert(pa.array(_NUMBER.findall(text), pa.string()), target)
