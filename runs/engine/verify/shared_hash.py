"""The shared row hash of `connections.sdk.sql.row_hash`, computed in DuckDB over rows that were read."""

from __future__ import annotations

import binascii
import sys
from array import array as numbers
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from connections.sdk.arrow.times import INFINITE_TIMESTAMP
from connections.sdk.schema import Column
from connections.sdk.types import DataType, Kind, to_arrow

# microseconds from 1970 to 2000, the epoch of hashed timestamps
_EPOCH = 946_684_800_000_000
_LOWEST = -(2**63)
_TIMESTAMPS = frozenset({Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
_HEX = _TIMESTAMPS | {Kind.TIME, Kind.REAL, Kind.DOUBLE}
_SIZED = frozenset({Kind.TEXT, Kind.UUID})
_BITS = {64: ("q", 8), 32: ("i", 4)}


def has_item(data_type: DataType) -> bool:
    """Return whether `item` converts canonical values of this type."""
    if data_type.kind is Kind.DECIMAL:
        return bool(pa.types.is_decimal(to_arrow(data_type)))
    return data_type.kind in _HEX or data_type.kind is Kind.DATE


def item(array: pa.Array, data_type: DataType) -> pa.Array:
    """Return the form of canonical values that is hashed, except for conversions that `row_hash` leaves to DuckDB."""
    if pa.types.is_decimal(array.type):
        # the same digits without the decimal point
        whole = pa.decimal128(array.type.precision, 0)
        return pa.Array.from_buffers(whole, len(array), array.buffers(), offset=array.offset)
    if data_type.kind is Kind.DATE:
        return array.view(pa.int32())
    count = array if pa.types.is_integer(array.type) else array.view(pa.int64())
    return hexadecimal(_since_2000(count) if data_type.kind in _TIMESTAMPS else count)


def row_hash(columns: Sequence[Column], positions: Iterable[int]) -> str:
    """Return an expression of type BIGINT over ``c0``, ... (canonical) and ``h0``, ... (items)."""
    wanted = tuple(positions)
    items = [_item(columns[position].data_type, position) for position in wanted]
    texts = [f"c{position}" for position in wanted if columns[position].data_type.kind in _SIZED]
    # concat skips NULL
    parts = ["'('", ", ',', ".join(items), "')'", *texts]
    text = f"concat({', '.join(parts)})"
    return f"CAST(CAST('0x' || left(md5({text}), 16) AS UBIGINT) >> 1 AS BIGINT)"


def _item(data_type: DataType, position: int) -> str:
    name = f"{'h' if has_item(data_type) else 'c'}{position}"
    if data_type.kind is Kind.BOOLEAN:
        return f"CASE {name} WHEN true THEN 't' WHEN false THEN 'f' END"
    if data_type.kind is Kind.BINARY:
        return f"md5({name})"
    return f"strlen({name})" if data_type.kind in _SIZED else name


def _since_2000(micros: pa.Array) -> pa.Array:
    """Return microseconds since 2000; infinity is the highest or lowest integer, as in PostgreSQL."""
    bounds = pc.min_max(micros).as_py()
    if bounds["min"] is None or (bounds["min"] >= _LOWEST + _EPOCH and bounds["max"] < INFINITE_TIMESTAMP):
        return pc.subtract(micros, _EPOCH)
    # timestamps that are too early for this epoch all get one number; no server can store them
    moved = pc.subtract(pc.max_element_wise(micros, pa.scalar(_LOWEST + _EPOCH + 1), skip_nulls=False), _EPOCH)
    ended = pc.if_else(pc.equal(micros, INFINITE_TIMESTAMP), pa.scalar(INFINITE_TIMESTAMP), moved)
    return pc.if_else(pc.equal(micros, -INFINITE_TIMESTAMP), pa.scalar(_LOWEST), ended)


def hexadecimal(array: pa.Array) -> pa.Array:
    """Return integers as hexadecimal digits of their full width, negative ones in two's complement."""
    code, size = _BITS[array.type.bit_width]
    start, length = array.offset * size, len(array)
    swapped = numbers(code)
    swapped.frombytes(memoryview(array.buffers()[1])[start : start + size * length])
    if sys.byteorder == "little":
        swapped.byteswap()
    digits = pa.py_buffer(binascii.hexlify(swapped.tobytes()))
    fixed = pa.Array.from_buffers(pa.binary(2 * size), length, [None, digits]).cast(pa.binary()).view(pa.string())
    return pc.if_else(pc.is_valid(array), fixed, None) if array.null_count else fixed
