"""Canonical forms of values: two values are equal if and only if their canonical forms are.

Most Arrow values are canonical already. The exceptions are floating-point numbers (NaN differs from itself, -0.0 equals
0.0) and types that are transferred as text: decimals (1.50 and 1.5), UUIDs, char(n) with its padding, JSON.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connections.sdk.types import DataType, Kind, to_arrow

# a canonical number, except for trailing zeros
_PLAIN = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
# numbers are written without an exponent up to this one, which PostgreSQL's numeric does not exceed
_MAX_EXPONENT = 200_000
_BLANKS_AND_STRINGS = re.compile(r'[ \t\r\n]+|("(?:[^"\\]|\\.)*")')
_TEXT_FORMS = frozenset({Kind.DECIMAL, Kind.UUID, Kind.JSON})
_BITS = {pa.float64(): pa.int64(), pa.float32(): pa.int32()}


def has_form(data_type: DataType) -> bool:
    """Return whether `canonical_values` may change values of this type."""
    arrow = to_arrow(data_type)
    if arrow in _BITS:
        return True
    return pa.types.is_string(arrow) and (data_type.kind in _TEXT_FORMS or data_type.fixed)


def canonical_values(array: pa.Array, data_type: DataType, *, signed_zero: bool = True) -> pa.Array:
    """Return the canonical values; ``array`` itself if they are canonical already.

    ``data_type`` is the type of the destination's column, and the array has its Arrow type. Without ``signed_zero`` the
    destination stores -0.0 as 0.0.
    """
    if array.type in _BITS:
        # adding 0.0 changes only -0.0
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
    """Return the texts of a key column folded by its collation: keys that the destination considers equal are equal.

    Folds for NOCASE (in SQLite for ASCII letters only) and RTRIM, collations of SQLite and DuckDB; no others.
    """
    name = collation.strip('"').upper()
    if not pa.types.is_string(array.type):
        return array
    if name == "NOCASE":
        return pc.ascii_lower(array) if ascii_only else pc.utf8_lower(array)
    return pc.utf8_rtrim(array, characters=" ") if name == "RTRIM" else array


def _bits(array: pa.Array) -> pa.Array:
    """Return the IEEE 754 bits, with the same bits for every NaN; -0.0 and 0.0 differ."""
    nan = pa.scalar(float("nan"), array.type)
    return pc.if_else(pc.is_nan(array), nan, array).view(_BITS[array.type])


def _plain_numbers(array: pa.Array) -> pa.Array:
    if not pc.all(pc.match_substring_regex(array, _PLAIN), skip_nulls=True, min_count=0).as_py():
        return pa.array([None if value is None else _plain(value) for value in array.to_pylist()], pa.string())
    whole = pc.replace_substring_regex(array, r"\.0*$", "")
    short = pc.replace_substring_regex(whole, r"(\.[0-9]*[1-9])0+$", r"\1")
    return pc.replace_substring_regex(short, "^-0$", "0")


def _plain(text: str) -> str:
    """Return a number as PostgreSQL writes it, without trailing zeros; any other text unchanged."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return text
    if not number.is_finite():
        return str(number)
    if not number:
        return "0"
    if abs(number.adjusted()) > _MAX_EXPONENT:
        sign, digits, _ = number.as_tuple()
        return f"{'-' * sign}{''.join(map(str, digits)).rstrip('0')}E{number.adjusted()}"
    # normalize() would round to the context's precision
    plain = format(number, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _json(text: str | None) -> str | None:
    """Return the document as jsonb stores it: sorted keys, no whitespace, only the last of duplicate keys.

    A document that is nested too deeply to be parsed keeps the order of its keys.
    """
    if text is None:
        return None
    try:
        value = json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=_Number)
        # escaped, because a lone surrogate is valid in JSON and not in UTF-8
        return json.dumps(_numbered(value), sort_keys=True, separators=(",", ":"))
    except RecursionError:
        return _BLANKS_AND_STRINGS.sub(lambda match: match[1] or "", text)
    except ValueError:
        return text


class _Number(str):
    """The text of a number, which a float would not preserve."""


def _numbered(value: Any) -> Any:
    if isinstance(value, _Number):
        return {"": _plain(value)}
    if isinstance(value, dict):
        return {"k" + key: _numbered(item) for key, item in value.items()}
    return [_numbered(item) for item in value] if isinstance(value, list) else value
