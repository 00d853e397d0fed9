"""Lossless conversion of Arrow arrays to text that PostgreSQL and DuckDB both parse."""

from __future__ import annotations

import binascii

import pyarrow as pa

from connections.sdk.arrow import compute as pc
from connections.sdk.arrow.invalid_values import converted
from connections.sdk.arrow.times import iso_text
from connections.sdk.schema import Column

# up to this scale Arrow writes plain digits, beyond it an exponent
_PLAIN_SCALE = 6


def as_text(array: pa.Array, column: Column) -> pa.Array:
    r"""Return ``array`` as text.

    Bytes become ``\x00ff``, dates and times ISO 8601, decimals plain digits, floats their shortest exact digits. Raises
    InvalidValue for a date or time that `iso_text` cannot represent.
    """
    if pa.types.is_binary(array.type):
        return hex_text(array)
    if pa.types.is_temporal(array.type):
        return converted(array, column, iso_text)
    if pa.types.is_decimal(array.type):
        return plain_digits(array)
    return pc.cast(array, pa.string())


def hex_text(array: pa.Array) -> pa.Array:
    r"""Return bytes as ``\x`` and hexadecimal digits, converting the whole data buffer at once."""
    whole = pa.concat_arrays([array]) if array.offset else array
    _, offsets, data = whole.buffers()
    starts = memoryview(offsets).cast("i")
    text = binascii.hexlify(memoryview(data)[: starts[len(whole)]]) if data else b""
    doubled = pc.multiply_checked(
        pa.Array.from_buffers(pa.int32(), len(whole) + 1, [None, offsets]), pa.scalar(2, pa.int32())
    )
    valid = pc.is_valid(whole).buffers()[1] if whole.null_count else None
    hexadecimal = pa.Array.from_buffers(pa.string(), len(whole), [valid, doubled.buffers()[1], pa.py_buffer(text)])
    return pc.binary_join_element_wise(pa.scalar("\\x"), hexadecimal, pa.scalar(""))


def plain_digits(array: pa.Array) -> pa.Array:
    """Return the text of decimals without exponents: 0.0000000001, not 1E-10."""
    scale = array.type.scale
    if scale <= _PLAIN_SCALE:
        return array.cast(pa.string())
    wide = array.cast(pa.decimal128(38, scale))
    whole = pa.Array.from_buffers(pa.decimal128(38, 0), len(wide), wide.buffers(), offset=wide.offset).cast(pa.string())
    sign = pc.if_else(pc.starts_with(whole, "-"), "-", "")
    padded = pc.utf8_lpad(pc.utf8_ltrim(whole, characters="-"), scale + 1, padding="0")
    before, after = pc.utf8_slice_codeunits(padded, 0, -scale), pc.utf8_slice_codeunits(padded, -scale)
    return pc.binary_join_element_wise(pc.binary_join_element_wise(sign, before, pa.scalar("")), after, pa.scalar("."))
