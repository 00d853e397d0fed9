"""Lossless conversion to Arrow decimals, from text and from decimals of another precision.

Arrow's own casts are fast, but silently return a different number when more than 38 digits are involved.
"""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa

from connections.sdk.arrow import compute as pc
from connections.sdk.arrow.text_search import may_contain
from connections.sdk.types import DataType

_DIGITS = 38
_SHAPE = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,9})?$"
# systems with unconstrained numerics also have infinity and NaN; fixed-width sources pad with blanks
_ANY_SHAPE = r"^ *([+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,9})?|[+-]?(?i:inf|infinity)|(?i:nan)) *$"


def decimal_from_text(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Return text parsed as ``target``. Raises ArrowInvalid for text that is no decimal number or does not fit."""
    # Arrow's parser is wrong where the digits plus the zeros that the scale adds may exceed 38
    long = pc.greater(pc.binary_length(array), _DIGITS - target.scale)
    has_exponents = may_contain(array, b"e") or may_contain(array, b"E")
    risky = pc.or_(long, pc.match_substring(array, "e", ignore_case=True)) if has_exponents else long
    if not pc.any(risky).as_py():
        return array.cast(target)
    careful = pc.if_else(risky, array, None)
    if pc.all(pc.match_substring_regex(careful, _SHAPE)).as_py() is False:
        raise pa.ArrowInvalid("not a decimal number")
    numbers = [None if text is None else _normalized(Decimal(text), target) for text in careful.to_pylist()]
    return pc.if_else(risky, pa.array(numbers, target), pc.if_else(risky, None, array).cast(target))


def _normalized(number: Decimal, target: pa.DataType) -> Decimal:
    """Return ``number`` without leading and trailing zeros. Raises ArrowInvalid when ``target`` cannot hold it."""
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    significant = "".join(map(str, digits)).strip("0")
    if not significant:
        return Decimal(0)

    exponent += len(digits) - len("".join(map(str, digits)).rstrip("0"))
    if exponent < -target.scale or len(significant) + exponent > target.precision - target.scale:
        raise pa.ArrowInvalid("does not fit the precision and scale")
    return Decimal((sign, tuple(map(int, significant)), exponent))


def rescaled(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Return decimals cast to another precision and scale. Raises ArrowInvalid where a digit would be lost."""
    whole_digits = target.precision - target.scale
    if array.type.precision - array.type.scale > whole_digits:
        limit = pa.scalar(Decimal(10) ** whole_digits, pa.decimal128(_DIGITS, array.type.scale))
        if pc.all(pc.less(pc.abs(array), limit)).as_py() is False:
            raise pa.ArrowInvalid("does not fit the precision")
    return array.cast(target)


def checked_decimal_text(array: pa.Array, data_type: DataType) -> pa.Array:
    """Return ``array``, the text of a decimal column that Arrow cannot hold as a decimal.

    Raises ArrowInvalid for text that is not a decimal number, and for more fractional digits than the scale of
    ``data_type``: the destination would accept ``0x1f`` as thirty-one, and round ``1.5`` to the scale of its column.
    """
    if pc.all(pc.match_substring_regex(array, _ANY_SHAPE)).as_py() is False:
        raise pa.ArrowInvalid("not a decimal number")
    if data_type.precision is None:
        return array
    scale = data_type.scale or 0
    parsed = pc.match_substring_regex(array, "[0-9.][eE]") if scale >= 0 else pc.is_valid(array)
    too_long = pc.match_substring_regex(array, rf"\.[0-9]{{{max(scale, 0)}}}[0-9]*[1-9]")
    fits = all(_scale(text) <= scale for text in array.filter(parsed).to_pylist())
    if not fits or pc.any(pc.and_not(too_long, parsed)).as_py():
        raise pa.ArrowInvalid("more decimals than the scale")
    return array


def _scale(text: str) -> int:
    """Return the smallest scale that holds the number: 2 for 1.25e0, -2 for 1200."""
    number = Decimal(text)
    _, digits, exponent = number.as_tuple()
    if not number or not isinstance(exponent, int):
        return -(10**9)
    plain = "".join(map(str, digits))
    return -exponent - (len(plain) - len(plain.rstrip("0")))
