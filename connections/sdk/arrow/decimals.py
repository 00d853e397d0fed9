"""Decimals from text and from decimals. Arrow's own casts are fast, but past 38 digits give other numbers, unsaid."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from connections.sdk.arrow.buffers import may_hold
from connections.sdk.sql.types import DataType

_DIGITS = 38
_SHAPE = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,9})?$"
# what systems whose numerics are unbounded have beside numbers; fixed-width sources pad with blanks
_ANY_SHAPE = r"^ *([+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,9})?|[+-]?(?i:inf|infinity)|(?i:nan)) *$"


def decimal_from_text(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Return the decimals that the texts spell, exactly as ``target``; ArrowInvalid for the rest."""
    # the parser cannot be trusted where the digits and the zeros that the scale adds could be more than 38
    long = pc.greater(pc.binary_length(array), _DIGITS - target.scale)
    powers = may_hold(array, b"e") or may_hold(array, b"E")
    risky = pc.or_(long, pc.match_substring(array, "e", ignore_case=True)) if powers else long
    if not pc.any(risky).as_py():
        return array.cast(target)
    careful = pc.if_else(risky, array, None)
    if pc.all(pc.match_substring_regex(careful, _SHAPE)).as_py() is False:
        raise pa.ArrowInvalid("not a decimal number")
    found = [None if text is None else _fitted(Decimal(text), target) for text in careful.to_pylist()]
    return pc.if_else(risky, pa.array(found, target), pc.if_else(risky, None, array).cast(target))


def _fitted(number: Decimal, target: pa.DataType) -> Decimal:
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    significant = "".join(map(str, digits)).strip("0")
    if not significant:
        return Decimal(0)
    # the same number with its zeros at both ends gone
    exponent += len(digits) - len("".join(map(str, digits)).rstrip("0"))
    if exponent < -target.scale or len(significant) + exponent > target.precision - target.scale:
        raise pa.ArrowInvalid("does not fit the precision and scale")
    return Decimal((sign, tuple(map(int, significant)), exponent))


def rescaled(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Return decimals as decimals of another precision and scale; ArrowInvalid where a digit would be lost."""
    whole_digits = target.precision - target.scale
    if array.type.precision - array.type.scale > whole_digits:
        limit = pa.scalar(Decimal(10) ** whole_digits, pa.decimal128(_DIGITS, array.type.scale))
        if pc.all(pc.less(pc.abs(array), limit)).as_py() is False:
            raise pa.ArrowInvalid("does not fit the precision")
    return array.cast(target)


def spelled_decimal(array: pa.Array, data_type: DataType) -> pa.Array:
    """Return texts of a decimal that travels as text; ArrowInvalid for what is no number or has more decimals.

    Whoever takes the text would read ``0x1f`` as thirty-one, and round ``1.5`` to what its column keeps.
    """
    if pc.all(pc.match_substring_regex(array, _ANY_SHAPE)).as_py() is False:
        raise pa.ArrowInvalid("not a decimal number")
    if data_type.precision is None:
        return array
    scale = data_type.scale or 0
    powers = pc.match_substring_regex(array, "[0-9.][eE]") if scale >= 0 else pc.is_valid(array)
    plain = pc.match_substring_regex(array, rf"\.[0-9]{{{max(scale, 0)}}}[0-9]*[1-9]")
    few = all(_decimals(text) <= scale for text in array.filter(powers).to_pylist())
    if not few or pc.any(pc.and_not(plain, powers)).as_py():
        raise pa.ArrowInvalid("more decimals than the scale")
    return array


def _decimals(text: str) -> int:
    """Return where the last digit that is no zero stands: 2 for 1.25e0, -2 for 1200."""
    number = Decimal(text)
    _, digits, exponent = number.as_tuple()
    if not number or not isinstance(exponent, int):
        return -(10**9)
    plain = "".join(map(str, digits))
    return -exponent - (len(plain) - len(plain.rstrip("0")))
