"""Decodes the fields of binary COPY data to Arrow arrays, by the types that the query sends them in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from connections.connectors.postgresql.copy import binary_numeric
from connections.connectors.postgresql.copy.binary_block import Array, Block, Field, FieldType
from connections.connectors.postgresql.copy.wire_values import too_late
from connections.sdk.arrow import compute as pc
from connections.sdk.arrow.convert import convert_exactly
from connections.sdk.arrow.text_search import may_contain
from connections.sdk.arrow.times import INFINITE_DATE, INFINITE_TIMESTAMP
from connections.sdk.schema import Column
from connections.sdk.types import to_arrow

# from PostgreSQL's epoch, 2000-01-01, to Arrow's
_EPOCH_DAYS, _EPOCH_MICROS = 10_957, 946_684_800_000_000
# types by OID, with the type of numpy for those of a fixed length
OIDS = {
    "boolean": 16,
    "bytea": 17,
    "bigint": 20,
    "smallint": 21,
    "integer": 23,
    "text": 25,
    "real": 700,
    "double precision": 701,
    "bpchar": 1042,
    "character": 1042,
    "character varying": 1043,
    "date": 1082,
    "time without time zone": 1083,
    "timestamp without time zone": 1114,
    "timestamp with time zone": 1184,
    "numeric": 1700,
}
_NUMBERS = {
    "boolean": ">u1",
    "smallint": ">i2",
    "integer": ">i4",
    "bigint": ">i8",
    "real": ">f4",
    "double precision": ">f8",
    "date": ">i4",
    "time without time zone": ">i8",
    "timestamp without time zone": ">i8",
    "timestamp with time zone": ">i8",
}
_ARROW = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "date": pa.date32(),
    "time without time zone": pa.time64("us"),
    "timestamp without time zone": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
    "bytea": pa.binary(),
}


def field_type(sent: str) -> FieldType:
    """Return what `decode` needs of fields that are sent as this type."""
    if sent == "numeric":
        return binary_numeric.NUMERIC
    if number := _NUMBERS.get(sent):
        return FieldType([("value", number)], np.dtype(number).itemsize)
    return FieldType()


def decode(block: Block, field: Field, native: str, sent: str, column: Column) -> pa.Array:
    """Return the field's values, which have the type ``native`` and were sent as ``sent``.

    Raises InvalidValue for one that does not fit. Infinite dates and timestamps are represented as in
    `connections.sdk.arrow.convert`.
    """
    if sent == "numeric":
        return _decimals(block, field, column)
    if sent not in _NUMBERS:
        array = _variable(block, field, _ARROW.get(sent, pa.string()))
        is_number = native.startswith("numeric") and not pa.types.is_string(to_arrow(column.data_type))
        return _as_adbc(array) if is_number else array
    values = _native(field.heads["value"])
    if sent == "boolean":
        return _array(pa.bool_(), np.packbits(values != 0, bitorder="little"), field)
    if sent == "date":
        values = _since_1970(np.where(field.valid, values, 0), _EPOCH_DAYS, INFINITE_DATE)
    elif sent.startswith("timestamp"):
        values = np.where(field.valid, values, 0)
        _check_latest(values, column)
        values = _since_1970(values, _EPOCH_MICROS, INFINITE_TIMESTAMP)
    return _array(_ARROW[sent], values, field)


def _native(values: Array) -> Array:
    """Return the numbers in the machine's byte order."""
    native: Array = values.astype(values.dtype.newbyteorder("="))
    return native


def _array(kind: pa.DataType, values: Array, field: Field) -> pa.Array:
    return pa.Array.from_buffers(kind, len(field.starts), [_validity(field), pa.py_buffer(values)])


def _validity(field: Field) -> pa.Buffer | None:
    valid = field.valid
    return None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))


def _since_1970(count: Array, epoch: int, infinite: int) -> Array:
    """Return counts since 1970 for counts since 2000, of which the largest and the smallest integer are infinite."""
    shifted: Array = count + count.dtype.type(epoch)
    if count.max(initial=0) < infinite and count.min(initial=0) > -infinite - 1:
        return shifted
    shifted[count == infinite] = infinite
    shifted[count == -infinite - 1] = -infinite
    return shifted


def _check_latest(micros: Array, column: Column) -> None:
    """Raise InvalidValue for a timestamp that Arrow cannot count in microseconds since 1970."""
    beyond = (micros >= INFINITE_TIMESTAMP - _EPOCH_MICROS) & (micros != INFINITE_TIMESTAMP)
    if beyond.any():
        raise too_late(column, int(micros[beyond][0]) + _EPOCH_MICROS)


def _variable(block: Block, field: Field, kind: pa.DataType) -> pa.Array:
    """Return texts or bytes, which Arrow's ``take`` copies.

    It is given an array of the values and of the bytes between them, of which every other element is taken.
    """
    rows = len(field.starts)
    offsets = np.empty(2 * rows, np.int32)
    offsets[0::2] = field.starts
    offsets[1::2] = field.starts + np.maximum(field.heads["length"], 0)
    both = pa.Array.from_buffers(kind, 2 * rows - 1, [None, pa.py_buffer(offsets), pa.py_buffer(block.data)])
    every_other = pa.py_buffer(np.arange(0, 2 * rows, 2, dtype=np.int32))
    taken = pc.take(both, pa.Array.from_buffers(pa.int32(), rows, [None, every_other]))
    return pa.Array.from_buffers(kind, rows, [_validity(field), *taken.buffers()[1:]])


def _as_adbc(array: pa.Array) -> pa.Array:
    """Return numerics as text, with NaN and infinity spelled as by ADBC."""
    if not (may_contain(array, b"N") or may_contain(array, b"I")):
        return array
    return pc.replace_substring(pc.utf8_lower(array), "infinity", "inf")


def _decimals(block: Block, field: Field, column: Column) -> pa.Array:
    target = to_arrow(column.data_type)
    unscaled, exact = binary_numeric.decode(block, field, target)
    wide = np.empty((len(unscaled), 2), "<i8")
    wide[:, 0] = unscaled
    wide[:, 1] = unscaled >> 63
    decoded = _array(target, wide, field)
    others = field.valid & ~exact
    if not others.any():
        return decoded
    texts: list[str | None] = [None] * len(unscaled)
    for row in np.flatnonzero(others).tolist():
        start, length = int(field.starts[row]), int(field.heads["length"][row])
        texts[row] = binary_numeric.text(block.data[start : start + length])
    converted = convert_exactly(pa.array(texts, pa.string()), column)
    return pc.if_else(pc.is_valid(converted), converted, decoded)
