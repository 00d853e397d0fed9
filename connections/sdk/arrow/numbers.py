"""Exact conversion of Arrow arrays to booleans, integers, decimals and floats; ArrowInvalid where it would not be."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from connections.sdk.arrow.decimals import decimal_from_text, rescaled

_WORDS = pa.array(["0", "false", "f", "1", "true", "t"])
_FIRST_TRUE = 3
# beyond this a double no longer holds every integer
EXACT_INTEGER = float(2**53)
_FIFTEEN_DIGITS = 10.0**15


def check(ok: pa.Array, why: str) -> None:
    """Raise ArrowInvalid unless every non-NULL element of ``ok`` is true."""
    if pc.all(ok).as_py() is False:
        raise pa.ArrowInvalid(why)


def to_boolean(array: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_boolean(array.type):
        return array
    if not pa.types.is_string(array.type):
        array = to_integer(array, pa.int64()).cast(pa.string())
    places = pc.index_in(pc.utf8_lower(array), value_set=_WORDS)
    # NULL in, NULL out; a word that is none of them is not found
    check(pc.equal(pc.is_valid(places), pc.is_valid(array)), "not a truth value")
    return pc.greater_equal(places, _FIRST_TRUE)


def to_integer(array: pa.Array, target: pa.DataType) -> pa.Array:
    kind = array.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return array.cast(target)
    if pa.types.is_floating(kind):
        check(pc.less_equal(pc.abs(array), EXACT_INTEGER), "too large to be a whole number for certain")
        return array.cast(target)
    if pa.types.is_string(kind):
        # Arrow alone would read 0x10 as sixteen
        check(pc.match_substring_regex(array, r"^[+-]?[0-9]+(\.0*)?$"), "not a whole number")
        digits = pc.replace_substring_regex(array, r"^\+|\.0*$", "")
        return digits.cast(target)
    raise pa.ArrowInvalid(f"{kind} is not a number")


def to_decimal(array: pa.Array, target: pa.DataType) -> pa.Array:
    kind = array.type
    if pa.types.is_floating(kind):
        return decimal_from_double(array.cast(pa.float64()), target)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        digits = pa.decimal128(20 if pa.types.is_uint64(kind) else 19, 0)
        return rescaled((array.cast(pa.int8()) if pa.types.is_boolean(kind) else array).cast(digits), target)
    if pa.types.is_string(kind):
        return decimal_from_text(array, target)
    if pa.types.is_decimal(kind):
        return rescaled(array, target)
    raise pa.ArrowInvalid(f"{kind} is not a number")


def decimal_from_double(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Return the decimals that doubles stand for: 0.1 is 0.1, and 0.30000000000000004 is 0.3 to fifteen digits.

    A value whose first fifteen digits do not end within the scale is refused. Large ones count by their shortest text.
    """
    factor = 10.0**target.scale
    scaled = pc.round(pc.multiply(array, factor))
    large = pc.invert(pc.less(pc.abs(scaled), EXACT_INTEGER))
    if pc.any(large).as_py():
        by_text = decimal_from_text(pc.if_else(large, array, None).cast(pa.string()), target)
        return pc.if_else(large, by_text, decimal_from_double(pc.if_else(large, None, array), target))
    nearest = pc.divide(scaled, factor)
    off = pc.abs(pc.subtract(array, nearest))
    few_digits = pc.less(pc.abs(scaled), _FIFTEEN_DIGITS)
    noise = pc.and_(few_digits, pc.less_equal(off, pc.multiply(pc.abs(array), 0.5 / _FIFTEEN_DIGITS)))
    check(pc.or_(pc.equal(array, nearest), noise), "more decimals than the scale")
    whole = scaled.cast(pa.int64()).cast(pa.decimal128(19, 0))
    # the same integers, read with the target's scale
    wide = pa.Array.from_buffers(pa.decimal128(38, target.scale), len(whole), whole.buffers(), offset=whole.offset)
    return wide.cast(target)


def to_double(array: pa.Array, target: pa.DataType) -> pa.Array:
    kind = array.type
    if pa.types.is_floating(kind):
        return array.cast(target)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        wide = array.cast(pa.int64())
        # a safe cast refuses integers that a double does not hold
        return wide.cast(target)
    if pa.types.is_string(kind):
        return _double_from_text(array)
    if pa.types.is_decimal(kind):
        found = array.cast(target)
        digits = pa.decimal128(38, kind.scale)
        check(pc.equal(decimal_from_double(found, digits), array.cast(digits)), "more digits than a double holds")
        return found
    raise pa.ArrowInvalid(f"{kind} is not a number")


def _double_from_text(array: pa.Array) -> pa.Array:
    shape = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?(?i:inf|infinity)$|^(?i:nan)$"
    check(pc.match_substring_regex(array, shape), "not a number")
    found = pc.replace_substring_regex(array, r"^\+", "").cast(pa.float64())
    named = pc.match_substring_regex(array, r"(?i)[in]")
    # 1e400 would become infinite
    check(pc.or_(named, pc.is_finite(found)), "larger than a double")
    # fifteen digits survive a double, of more only those that are a double's own shortest text
    digits = pc.utf8_length(pc.replace_substring_regex(array, r"^[+-]?[0.]*|\.|[eE].*$", ""))
    long = pc.and_(pc.greater(digits, 15), pc.invert(named))
    for text in array.filter(long).to_pylist():
        if Decimal(text) != Decimal(repr(float(text))):
            raise pa.ArrowInvalid("more digits than a double holds")
    return found


def to_real(array: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_float32(array.type):
        return array
    wide = to_double(array, pa.float64())
    found = wide.cast(target)
    # 0.1 stays 0.1 in both; 0.123456789 does not
    same = pc.or_(pc.equal(found.cast(pa.float64()), wide), pc.equal(found.cast(pa.string()), wide.cast(pa.string())))
    check(pc.or_(same, pc.is_nan(wide)), "more digits than a real holds")
    return found
