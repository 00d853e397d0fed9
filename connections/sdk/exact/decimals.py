"""Decimals from text and from decimals. Arrow's own casts are fast, but past 38 digits give other numbers, unsaid."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from connections.sdk.exact.buffers import may_hold

_DIGITS = 38
_SHAPE = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,9})?$"


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
