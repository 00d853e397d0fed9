"""One form for each value, so that two values are equal exactly when their forms are.

Arrow values of one type are equal as they are, but for floating-point numbers (NaN differs from itself, -0.0 equals
0.0) and for what travels as text: 1.50 and 1.5, two spellings of a UUID, blanks that pad a char(n), JSON.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connections.sdk.sql.types import DataType, Kind, to_arrow

# a number in its one form, but for zeros at its end
_PLAIN = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
# written out up to this exponent, which no numeric of PostgreSQL's exceeds
_LONGEST = 200_000
_BLANKS_AND_STRINGS = re.compile(r'[ \t\r\n]+|("(?:[^"\\]|\\.)*")')
_TEXT_FORMS = frozenset({Kind.DECIMAL, Kind.UUID, Kind.JSON})
_BITS = {pa.float64(): pa.int64(), pa.float32(): pa.int32()}


def has_form(data_type: DataType) -> bool:
    """Whether `canonical` changes values of this type."""
    arrow = to_arrow(data_type)
    if arrow in _BITS:
        return True
    return pa.types.is_string(arrow) and (data_type.kind in _TEXT_FORMS or data_type.fixed)


def canonical(array: pa.Array, data_type: DataType, *, signed_zero: bool = True) -> pa.Array:
    """Return the values in their one form; ``array`` itself where they are in it already.

    ``data_type`` is the meaning of the destination's column; the array's type is its Arrow type. Without
    ``signed_zero`` the destination keeps -0.0 as 0.0.
    """
    if array.type in _BITS:
        # -0.0 is the one value that an addition of 0.0 changes
        return _bits(array if signed_zero else pc.add(array, pa.scalar(0.0, array.type)))
    if not pa.types.is_string(array.type):
        return array
    if data_type.kind is Kind.DECIMAL:
        return _plain_numbers(array)
    if data_type.kind is Kind.UUID:
        return pc.replace_substring_regex(pc.utf8_lower(array), "[{}-]", "")
    if data_type.kind is Kind.JSON:
        return pa.array([_json(value) for value in array.to_pylist()], pa.string())
    return pc.utf8_rtrim(array, characters=" ") if data_type.fixed else array


def folded(array: pa.Array, collation: str, *, ascii_only: bool) -> pa.Array:
    """Return a key column's texts as the destination compares them, so that keys that it calls equal are one.

    Of SQLite's and DuckDB's collations: NOCASE (in SQLite of ASCII letters only) and RTRIM; others stay as they are.
    """
    name = collation.strip('"').upper()
    if not pa.types.is_string(array.type):
        return array
    if name == "NOCASE":
        return pc.ascii_lower(array) if ascii_only else pc.utf8_lower(array)
    return pc.utf8_rtrim(array, characters=" ") if name == "RTRIM" else array


def _bits(array: pa.Array) -> pa.Array:
    """Return the IEEE 754 bits: -0.0 and 0.0 differ, every NaN is the same one."""
    nan = pa.scalar(float("nan"), array.type)
    return pc.if_else(pc.is_nan(array), nan, array).view(_BITS[array.type])


def _plain_numbers(array: pa.Array) -> pa.Array:
    if not pc.all(pc.match_substring_regex(array, _PLAIN), skip_nulls=True, min_count=0).as_py():
        return pa.array([None if value is None else _plain(value) for value in array.to_pylist()], pa.string())
    whole = pc.replace_substring_regex(array, r"\.0*$", "")
    short = pc.replace_substring_regex(whole, r"(\.[0-9]*[1-9])0+$", r"\1")
    return pc.replace_substring_regex(short, "^-0$", "0")


def _plain(text: str) -> str:
    """Return a number as PostgreSQL writes it, without zeros at its end; a text that is none as it is."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return text
    if not number.is_finite():
        return str(number)
    if not number:
        return "0"
    if abs(number.adjusted()) > _LONGEST:
        sign, digits, _ = number.as_tuple()
        return f"{'-' * sign}{''.join(map(str, digits)).rstrip('0')}E{number.adjusted()}"
    # normalize() would round to the context's precision
    plain = format(number, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _json(text: str | None) -> str | None:
    """Return the document with sorted keys and no blanks, of doubled keys the last: what jsonb holds.

    One that is nested too deep to be read keeps the order of its keys.
    """
    if text is None:
        return None
    try:
        value = json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=_Number)
        # escaped, because a half of a surrogate pair is valid there and not in UTF-8
        return json.dumps(_numbered(value), sort_keys=True, separators=(",", ":"))
    except RecursionError:
        return _BLANKS_AND_STRINGS.sub(lambda found: found[1] or "", text)
    except ValueError:
        return text


class _Number(str):
    """A number's text, which a float would not keep."""


def _numbered(value: Any) -> Any:
    if isinstance(value, _Number):
        return {"": _plain(value)}
    if isinstance(value, dict):
        return {"k" + key: _numbered(item) for key, item in value.items()}
    return [_numbered(item) for item in value] if isinstance(value, list) else value
