"""Encoding of Arrow batches in PostgreSQL's binary COPY format with pgpq, column by column before it.

It is used where there is no compiled module, and for the values that this does not encode.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pgpq
import pyarrow as pa
from pgpq import encoders
from pgpq.schema import Jsonb

from connections.connectors.postgresql.copy.encoding import value_checks
from connections.connectors.postgresql.copy.encoding.binary_formats import binary_format
from connections.sdk.arrow import compute as pc
from connections.sdk.arrow import times
from connections.sdk.arrow.invalid_values import converted
from connections.sdk.arrow.numbers import check
from connections.sdk.schema import Column
from connections.sdk.types import Kind, to_arrow

# PostgreSQL's epoch is 2000-01-01
_EPOCH_DAYS, _EPOCH_MICROS = 10_957, 946_684_800_000_000


class PgpqEncoding:
    """Implements `Encoding`."""

    format = "binary"

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        # the encoder needs a unique name for each column, which does not occur in the data
        self._schema = pa.schema([(str(i), _encoded_type(column)) for i, column in enumerate(columns)])
        builders = {str(i): _builder(column, self._schema.field(i)) for i, column in enumerate(columns)}
        self._encoder = pgpq.ArrowToPostgresBinaryEncoder.new_with_encoders(self._schema, builders)

    def start(self) -> bytes:
        return self._encoder.write_header()

    def blocks(self, batch: pa.RecordBatch) -> Iterator[bytes | memoryview]:
        arrays = [_prepare(batch.column(i), column) for i, column in enumerate(self._columns)]
        yield self._encoder.write_batch(pa.record_batch(arrays, schema=self._schema))

    def end(self) -> bytes:
        return self._encoder.finish()


def _encoded_type(column: Column) -> pa.DataType:
    if binary_format(column) == "uuid":
        return pa.binary(16)
    types: dict[Kind, pa.DataType] = {
        Kind.DATE: pa.int32(),
        Kind.TIMESTAMP: pa.int64(),
        Kind.TIMESTAMPTZ: pa.int64(),
        Kind.TIME: pa.int64(),
    }
    return types.get(column.data_type.kind) or to_arrow(column.data_type)


def _builder(column: Column, field: pa.Field) -> Any:
    if binary_format(column) == "jsonb":
        return encoders.StringEncoderBuilder.new_with_output(field, Jsonb())
    return pgpq.ArrowToPostgresBinaryEncoder.infer_encoder(field)


def _prepare(array: pa.Array, column: Column) -> pa.Array:
    value_checks.check_array(array, column)
    if binary_format(column) == "uuid":
        return converted(array, column, uuid_bytes)
    prepare = _PREPARE.get(column.data_type.kind)
    return converted(array, column, prepare) if prepare else array


def _days(array: pa.Array) -> pa.Array:
    return _since_2000(array.cast(pa.int32()), _EPOCH_DAYS, times.INFINITE_DATE)


def _micros(array: pa.Array) -> pa.Array:
    return _since_2000(array.cast(pa.int64()), _EPOCH_MICROS, times.INFINITE_TIMESTAMP)


def _since_2000(count: pa.Array, epoch: int, infinite: int) -> pa.Array:
    """Return counts since 2000 for counts since 1970.

    PostgreSQL represents infinity by the largest integer and -infinity by the smallest.
    """
    ends = pc.min_max(count).as_py()
    if ends["max"] is None or (ends["max"] < infinite and ends["min"] > epoch - infinite - 1):
        return pc.subtract_checked(count, pa.scalar(epoch, count.type))
    is_infinite = pc.is_in(count, value_set=pa.array([infinite, -infinite], count.type))
    finite = pc.if_else(is_infinite, epoch, count).cast(count.type)
    shifted = pc.subtract_checked(finite, pa.scalar(epoch, count.type))
    smallest = pa.scalar(-infinite - 1, count.type)
    check(pc.not_equal(shifted, smallest), "would be -infinity")
    infinity = pc.if_else(pc.greater(count, pa.scalar(0, count.type)), pa.scalar(infinite, count.type), smallest)
    return pc.if_else(is_infinite, infinity, shifted)


def _time(array: pa.Array) -> pa.Array:
    return array.cast(pa.int64())


_PREPARE: dict[Kind, Callable[[pa.Array], pa.Array]] = {
    Kind.DATE: _days,
    Kind.TIMESTAMP: _micros,
    Kind.TIMESTAMPTZ: _micros,
    Kind.TIME: _time,
}


def uuid_bytes(array: pa.Array) -> pa.Array:
    """Return the sixteen bytes of each uuid, given as text with or without hyphens and braces."""
    bare = pc.replace_substring_regex(array, r"^\{|\}$|-", "")
    check(pc.match_substring_regex(bare, "^[0-9a-fA-F]{32}$"), "not a uuid")
    # every value has 32 digits, so the whole column can be converted as one string
    digits = "".join(cast(list[str], pc.fill_null(bare, "0" * 32).to_pylist()))
    raw = pa.py_buffer(binascii.unhexlify(digits))
    valid = pc.is_valid(bare).buffers()[1] if bare.null_count else None
    return pa.Array.from_buffers(pa.binary(16), len(bare), [valid, raw])
