"""Decodes numerics in PostgreSQL's binary format to Arrow decimals, all values of a block at once.

Format: in two bytes each the number of digits, the weight of the first one, the sign and the number of decimals that
are displayed, then the digits, whose base is 10000 and of which the first has the value digit * 10000 ** weight.
"""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa

from connections.connectors.postgresql.copy.binary_block import Array, Block, Field, FieldType

NUMERIC = FieldType([("digits", ">u2"), ("weight", ">i2"), ("sign", ">u2"), ("scale", ">u2"), ("first", ">u8")])
# decimal digits that always fit into 64 bits
MAX_DIGITS = 18
_HEADER = struct.Struct(">hhHh")
_NEGATIVE = 0x4000
_WORDS = {0xC000: "nan", 0xD000: "inf", 0xF000: "-inf"}
_POWERS = np.array([10**exponent for exponent in range(MAX_DIGITS + 1)], np.uint64)
# the largest number that has at most 18 digits after its multiplication with 10**exponent
_LIMITS = np.array([(10**MAX_DIGITS - 1) // 10**exponent for exponent in range(MAX_DIGITS + 1)], np.uint64)
# the bits behind the first 0 to 4 digits in eight bytes; there is no shift by 64 bits
_SHIFTS = np.array([63, 48, 32, 16, 0], np.uint64)

# the second and the fourth digit of a word
_LOW_DIGITS = np.uint64(0x0000FFFF0000FFFF)


def decode(block: Block, field: Field, target: pa.DataType) -> tuple[Array, Array]:
    """Return the unscaled integers for decimals of type ``target``, and for which values they are exact.

    Values of more than 18 digits, and such as ``target`` cannot hold, are not decoded; neither are NULL and NaN.
    """
    heads = field.heads
    digits = heads["digits"].astype(np.int64)
    sign = heads["sign"].astype(np.uint16)
    exact = (heads["length"] == _HEADER.size + 2 * digits) & (digits <= 8) & (sign & np.uint16(0xBFFF) == 0)
    digits *= exact
    first = np.minimum(digits, 4)
    number = _four_digits(heads["first"].astype(np.uint64), first)
    second = digits - first
    if second.any():
        power = 4 * second
        exact &= number < _LIMITS[power]
        number = number * exact * _POWERS[power]
        others = block.read(field.starts + NUMERIC.dtype.itemsize - 4, np.dtype(">u8")).astype(np.uint64)
        number += _four_digits(others, second)
    # of the last digit, in units of the target
    exponent = (heads["weight"] - digits + 1) * 4 + target.scale
    exponent *= number != 0
    exact &= np.abs(exponent) <= MAX_DIGITS
    exponent *= exact
    up = np.maximum(exponent, 0)
    exact &= number <= _LIMITS[up]
    number = number * _POWERS[up]
    if (exponent < 0).any():
        divisor = _POWERS[np.maximum(-exponent, 0)]
        quotient = number // divisor
        exact &= quotient * divisor == number
        number = quotient
    exact &= number < _POWERS[min(target.precision, MAX_DIGITS)]
    unscaled = number.astype(np.int64)
    return np.where(sign == _NEGATIVE, -unscaled, unscaled), exact


def _four_digits(words: Array, digits: Array) -> Array:
    """Return the numbers that the first 0 to 4 digits of each word are."""
    words = words >> _SHIFTS[digits]
    words *= digits > 0
    # both pairs of digits at once, then the two pairs
    pairs = (words >> np.uint64(16)) & _LOW_DIGITS
    pairs *= np.uint64(10**4)
    pairs += words & _LOW_DIGITS
    number = pairs >> np.uint64(32)
    number *= np.uint64(10**8)
    number += pairs & np.uint64(0xFFFFFFFF)
    return number


def text(value: bytes) -> str:
    """Return one numeric as text, with the decimals that PostgreSQL displays; NaN and infinity as ADBC spells them."""
    count, weight, sign, scale = _HEADER.unpack_from(value)
    if word := _WORDS.get(sign):
        return word
    digits = struct.unpack_from(f">{count}H", value, _HEADER.size)
    by_weight = {weight - position: digit for position, digit in enumerate(digits)}
    whole = "".join(f"{by_weight.get(at, 0):04}" for at in range(max(weight, 0), -1, -1)).lstrip("0") or "0"
    decimals = "".join(f"{by_weight.get(at, 0):04}" for at in range(-1, -1 - (scale + 3) // 4, -1))[:scale]
    return f"{'-' if sign == _NEGATIVE else ''}{whole}{'.' if scale else ''}{decimals}"
