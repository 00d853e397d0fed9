"""Text for PostgreSQL's own types: what the server would round, cut or take otherwise without a word, found before.

Only types whose meaning Arrow does not carry come as text (arrays, ranges, intervals, money ...); the server refuses
what is no value of the type, but rounds fractions, and reads ``-1`` as an oid.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from connections.sdk.arrow.invalid_values import first_failing, misfit
from connections.sdk.arrow.numbers import check, to_double, to_real
from connections.sdk.schema import Column

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_MICROS = re.compile(r"(time|timestamp|interval)\b.*|timetz|timestamptz|ts(tz)?(multi)?range")
_DOUBLES = frozenset({"double precision", "point", "line", "lseg", "box", "path", "polygon", "circle"})
_UNSIGNED = frozenset({"oid", "xid", "cid", "xid8"})


def element(native: str) -> str:
    """Return the type without length or precision, and an array's element: ``numeric(9,2)[]`` is ``numeric``."""
    return re.sub(r"\s*\([^)]*\)|(\[\])+$", "", native.strip().lower())


def fits(array: pa.Array, column: Column) -> None:
    """Raise ValueMisfit for the first text that the column's type would not keep."""
    found = _rule(element(column.dest_type))
    if found is None:
        return
    try:
        found(array)
    except pa.ArrowInvalid as error:
        raise misfit(column, first_failing(array, found), detail=str(error)) from None


def _rule(name: str) -> Callable[[pa.Array], None] | None:
    if _MICROS.fullmatch(name):
        return _few_decimals(6)
    if name == "money":
        return _few_decimals(2)
    if name in _UNSIGNED:
        return lambda array: check(pc.invert(pc.match_substring(array, "-")), "it has a sign")
    if name == "real":
        return lambda array: _held(array, to_real, pa.float32())
    return (lambda array: _held(array, to_double, pa.float64())) if name in _DOUBLES else None


def _few_decimals(digits: int) -> Callable[[pa.Array], None]:
    # a power of ten could hide digits anywhere
    pattern = rf"\.\d{{{digits}}}\d*[1-9]|\d[eE]-?\d"
    return lambda array: check(pc.invert(pc.match_substring_regex(array, pattern)), f"more than {digits} decimals")


def _held(array: pa.Array, convert: Callable[[pa.Array, pa.DataType], pa.Array], target: pa.DataType) -> None:
    for text in array.to_pylist():
        if text is not None:
            convert(pa.array(_NUMBER.findall(text), pa.string()), target)
