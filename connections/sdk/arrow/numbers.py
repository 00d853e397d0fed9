"""Lossless conversion of Arrow arrays to booleans, integers, decimals and floats.

The functions raise ArrowInvalid for a value that cannot be converted exactly.
"""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa

from connections.sdk.arrow import compute as pc
from connections.sdk.arrow.decimals import decimal_from_text, rescaled

_BOOLEANS = pa.array(["0", "false", "f", "1", "true", "t"])
_FIRST_TRUE = 3
# the largest double up to which every integer is one
EXACT_INTEGER = float(2**53)
_FIFTEEN_DIGITS = 10.0**15
# the largest power of ten that is a double
_EXACT_POWER = 22


def check(ok: pa.Array, why: str) -> None:
    """Raise ArrowInvalid unless every non-NULL element of ``ok`` is true."""
    if pc.all(ok).as_py() is False:
        raise pa.ArrowInvalid(why)


def to_boolean(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Convert booleans, the numbers 0 and 1, and the text of either (``t``, ``true``, ``1``, ...)."""
    if pa.types.is_boolean(array.type):
        return array
    if not pa.types.is_string(array.type):
        array = to_integer(array, pa.int64()).cast(pa.string())
    positions = pc.index_in(pc.utf8_lower(array), value_set=_BOOLEANS)
    # index_in returns NULL for a NULL as well as for text that is not in the list
    check(pc.equal(pc.is_valid(positions), pc.is_valid(array)), "not a boolean")
    return pc.greater_equal(positions, _FIRST_TRUE)


def to_integer(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Convert booleans, numbers without a fraction, and their text."""
    kind = array.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return pc.cast(array, target)
    if pa.types.is_floating(kind):
        check(pc.less_equal(pc.abs(array), EXACT_INTEGER), "beyond the integers that a double represents exactly")
        return pc.cast(array, target)
    if pa.types.is_string(kind):
        # Arrow's cast reads 0x10 as sixteen
        check(pc.match_substring_regex(array, r"^[+-]?[0-9]+(\.0*)?$"), "not a whole number")
        digits = pc.replace_substring_regex(array, r"^\+|\.0*$", "")
        return digits.cast(target)
    raise pa.ArrowInvalid(f"{kind} is not a number")


def to_decimal(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Convert booleans, numbers and their text, see `decimal_from_double` and `decimal_from_text`."""
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
    """Return doubles as decimals: 0.1 becomes 0.1, and 0.30000000000000004 becomes 0.3, its first fifteen digits.

    Raises ArrowInvalid when the first fifteen digits exceed the scale. Values too large for this are converted by
    their shortest text.
    """
    if (exact := nearest_decimals(array, target)) is not None:
        return exact
    factor = 10.0**target.scale
    scaled = pc.round(pc.multiply(array, factor))
    large = pc.invert(pc.less(pc.abs(scaled), EXACT_INTEGER))
    if pc.any(large).as_py():
        by_text = decimal_from_text(pc.if_else(large, array, None).cast(pa.string()), target)
        return pc.if_else(large, by_text, decimal_from_double(pc.if_else(large, None, array), target))
    nearest = pc.divide(scaled, factor)
    error = pc.abs(pc.subtract(array, nearest))
    few_digits = pc.less(pc.abs(scaled), _FIFTEEN_DIGITS)
    is_noise = pc.and_(few_digits, pc.less_equal(error, pc.multiply(pc.abs(array), 0.5 / _FIFTEEN_DIGITS)))
    check(pc.or_(pc.equal(array, nearest), is_noise), "more decimals than the scale")
    whole = scaled.cast(pa.int64()).cast(pa.decimal128(19, 0))
    # reinterpret the unscaled integers with the scale of the target
    wide = pa.Array.from_buffers(pa.decimal128(38, target.scale), len(whole), whole.buffers(), offset=whole.offset)
    return wide.cast(target)


def nearest_decimals(array: pa.Array, target: pa.DataType) -> pa.Array | None:
    """Return doubles as decimals if each is the double nearest to a decimal of ``target`` with at most fifteen digits.

    Return None if any is not, and if all are NULL.
    """
    if not 0 <= target.scale <= _EXACT_POWER:
        return None
    factor = 10.0**target.scale
    # the nearest integer: the products of such doubles are less than 0.25 away from one
    scaled = pc.floor(pc.add(pc.multiply(array, factor), 0.5))
    if not pc.all(pc.equal(pc.divide(scaled, factor), array)).as_py():
        return None
    ends = pc.min_max(scaled).as_py()
    if max(ends["max"], -ends["min"]) >= 10.0 ** min(target.precision, 15):
        return None
    whole = scaled.cast(pa.int64(), safe=False).cast(pa.decimal128(19, 0))
    return pa.Array.from_buffers(target, len(whole), whole.buffers(), offset=whole.offset)


def to_double(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Convert booleans, numbers that a double holds exactly, and their text."""
    kind = array.type
    if pa.types.is_floating(kind):
        return pc.cast(array, target)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        # Arrow's safe cast raises for an integer that has no exact double
        return array.cast(pa.int64()).cast(target)
    if pa.types.is_string(kind):
        return _double_from_text(array)
    if pa.types.is_decimal(kind):
        doubles = array.cast(target)
        wide = pa.decimal128(38, kind.scale)
        check(pc.equal(decimal_from_double(doubles, wide), array.cast(wide)), "more digits than a double holds")
        return doubles
    raise pa.ArrowInvalid(f"{kind} is not a number")


def _double_from_text(array: pa.Array) -> pa.Array:
    shape = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?(?i:inf|infinity)$|^(?i:nan)$"
    check(pc.match_substring_regex(array, shape), "not a number")
    doubles = pc.replace_substring_regex(array, r"^\+", "").cast(pa.float64())
    # infinity or NaN
    is_word = pc.match_substring_regex(array, r"(?i)[in]")
    # the cast turns 1e400 into infinity
    check(pc.or_(is_word, pc.is_finite(doubles)), "larger than a double")
    # a double keeps any fifteen digits; longer text is exact only if it is the shortest text of a double
    digits = pc.utf8_length(pc.replace_substring_regex(array, r"^[+-]?[0.]*|\.|[eE].*$", ""))
    long = pc.and_(pc.greater(digits, 15), pc.invert(is_word))
    for text in array.filter(long).to_pylist():
        if Decimal(text) != Decimal(repr(float(text))):
            raise pa.ArrowInvalid("more digits than a double holds")
    return doubles


def to_real(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Convert values that are exact as a real, or have the same shortest text as a double."""
    if pa.types.is_float32(array.type):
        return array
    doubles = to_double(array, pa.float64())
    reals = doubles.cast(target)
    same_value = pc.equal(reals.cast(pa.float64()), doubles)
    # 0.1 is another number as a real, but has the same shortest text
    same_text = pc.equal(reals.cast(pa.string()), doubles.cast(pa.string()))
    check(pc.or_(pc.or_(same_value, same_text), pc.is_nan(doubles)), "more digits than a real holds")
    return reals
