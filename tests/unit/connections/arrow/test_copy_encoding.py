"""Encoding of Arrow batches for PostgreSQL's binary COPY; that a server stores the values is tested with one."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connections.connectors.postgresql import datatypes
from connections.connectors.postgresql.copy.encoding.choose import Encoding
from connections.connectors.postgresql.copy.encoding.compiled_binary import CompiledEncoding
from connections.connectors.postgresql.copy.encoding.pgpq_binary import PgpqEncoding
from connections.sdk.compiled import import_compiled
from connections.sdk.errors import InvalidValue
from connections.sdk.schema import Column
from connections.sdk.types import to_arrow

START, END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
ENCODER = import_compiled("connections.connectors.postgresql.copy.encoding.binary_encoder")
needs_compiler = pytest.mark.skipif(ENCODER is None, reason="the encoder is not compiled")


def compiled(columns: Sequence[Column]) -> Encoding:
    assert ENCODER is not None
    return CompiledEncoding(columns, ENCODER.RowEncoder)


WAYS = [pytest.param(compiled, marks=needs_compiler), pytest.param(PgpqEncoding)]


def column(dest_type: str, name: str = "v") -> Column:
    return Column(dest_name=name, dest_type=dest_type, data_type=datatypes.parse(dest_type))


def array(dest_type: str, values: Sequence[Any]) -> pa.Array:
    """Return the values of the column's type in a transfer; dates and times may be given as integers."""
    target = to_arrow(datatypes.parse(dest_type))
    if pa.types.is_temporal(target) and all(isinstance(value, int | None) for value in values):
        width = pa.int32() if pa.types.is_date32(target) else pa.int64()
        return pa.array(values, width).view(target)
    return pa.array(values, target)


def encoded(encoding: Encoding, batch: pa.RecordBatch) -> bytes:
    return b"".join([encoding.start(), *encoding.blocks(batch), encoding.end()])


def encode(way: Callable[[Sequence[Column]], Encoding], columns: Sequence[Column], arrays: Sequence[pa.Array]) -> bytes:
    names = [str(position) for position in range(len(columns))]
    return encoded(way(columns), pa.record_batch(list(arrays), names=names))


def numeric(weight: int, sign: int, scale: int, *groups: int) -> bytes:
    return struct.pack(f">hhHh{len(groups)}H", len(groups), weight, sign, scale, *groups)


EXPECTED: list[tuple[str, Any, bytes]] = [
    ("boolean", True, b"\1"),
    ("boolean", False, b"\0"),
    ("smallint", -32768, b"\x80\0"),
    ("integer", 2**31 - 1, b"\x7f\xff\xff\xff"),
    ("bigint", -2, b"\xff" * 7 + b"\xfe"),
    ("real", -0.0, b"\x80\0\0\0"),
    ("double precision", float("inf"), b"\x7f\xf0" + bytes(6)),
    ("double precision", 5e-324, bytes(7) + b"\1"),
    ("numeric(15,2)", Decimal("0.00"), numeric(0, 0, 2)),
    ("numeric(15,2)", Decimal("-0.01"), numeric(-1, 0x4000, 2, 100)),
    ("numeric(15,2)", Decimal("12345.67"), numeric(1, 0, 2, 1, 2345, 6700)),
    ("numeric(15,2)", Decimal("10000"), numeric(1, 0, 2, 1)),
    ("numeric(20,7)", Decimal("-1.0000001"), numeric(0, 0x4000, 7, 1, 0, 10)),
    ("numeric(20,20)", Decimal("1e-20"), numeric(-5, 0, 20, 1)),
    ("numeric(38,0)", Decimal(10**38 - 1), numeric(9, 0, 0, 99, *[9999] * 9)),
    ("numeric(38,3)", Decimal(f"{1 - 10**38}e-3"), numeric(8, 0x4000, 3, *[999, 9999, 9999, 9999] + [9999] * 5, 9990)),
    ("date", date(2000, 1, 1), bytes(4)),
    ("date", date(1969, 12, 31), struct.pack(">i", -10_958)),
    ("date", -719_162 - 366, struct.pack(">i", -730_119 - 366)),
    ("date", 2**31 - 1, b"\x7f\xff\xff\xff"),
    ("date", -(2**31) + 1, b"\x80\0\0\0"),
    ("time", time(23, 59, 59, 999_999), struct.pack(">q", 86_399_999_999)),
    ("time(0)", 86_400_000_000, struct.pack(">q", 86_400_000_000)),
    ("timestamp", datetime(2000, 1, 1, 0, 0, 0, 1), struct.pack(">q", 1)),
    ("timestamp(3)", 946_684_799_999_000, struct.pack(">q", -1000)),
    ("timestamptz", 2**63 - 1, b"\x7f" + b"\xff" * 7),
    ("timestamptz", -(2**63) + 1, b"\x80" + bytes(7)),
    ("text", "é😀", "é😀".encode()),
    ("text", "", b""),
    ("varchar(2)", "é😀", "é😀".encode()),
    ("json", '{"a":  1}', b'{"a":  1}'),
    ("jsonb", "[]", b"\1[]"),
    ("uuid", "{00112233-4455-6677-8899-AABBccddeeff}", bytes.fromhex("00112233445566778899aabbccddeeff")),
    ("bytea", b"\0a\0", b"\0a\0"),
]


@pytest.mark.parametrize("way", WAYS)
def test_values_are_encoded_in_the_format_of_their_type(way: Callable[[Sequence[Column]], Encoding]) -> None:
    for dest_type, value, expected in EXPECTED:
        rows = b"\0\1\xff\xff\xff\xff" + struct.pack(">hi", 1, len(expected)) + expected
        data = encode(way, [column(dest_type)], [array(dest_type, [None, value])])
        assert data == START + rows + END, (dest_type, value)


# the type, a value that it holds, one that is refused, and the reason
REFUSED: list[tuple[str, Any, Any, str]] = [
    ("text", "a", "a\0b", "“a\\x00b” contains a NUL byte"),
    ("jsonb", "1", '"\0"', "contains a NUL byte"),
    ("uuid", "0" * 32, "\0", "contains a NUL byte"),
    ("varchar(3)", "ééé", "éééé", "“éééé” is longer than varchar(3)"),
    ("char(2)", "a ", "a  ", "is longer than char"),
    ("uuid", "0" * 32, "0" * 31, "does not fit uuid"),
    ("uuid", "0" * 32, "0" * 33, "does not fit uuid"),
    ("uuid", "0" * 32, "}" + "0" * 32, "does not fit uuid"),
    ("uuid", "0" * 32, "0" * 32 + "{", "does not fit uuid"),
    ("uuid", "0" * 32, "0" * 31 + "g", "does not fit uuid"),
    ("time(3)", 1000, 1001, "has more digits than time(3)"),
    ("timestamp(0)", -1_000_000, -1, "has more digits than timestamp(0)"),
    ("timestamp", 0, -(2**63) + 946_684_799_999_999, "does not fit timestamp"),
    ("timestamp", 0, -(2**63) + 946_684_800_000_000, "does not fit timestamp"),
    ("date", 0, -(2**31), "does not fit date"),
    ("date", 0, -(2**31) + 10_957, "does not fit date"),
]


@pytest.mark.parametrize("way", WAYS)
def test_the_first_column_with_a_value_that_is_not_stored_is_named(
    way: Callable[[Sequence[Column]], Encoding],
) -> None:
    """A later column has one in an earlier row."""
    for dest_type, good, bad, reason in REFUSED:
        columns = [column("integer", "n"), column(dest_type), column("text", "w")]
        arrays = [pa.array([1, 2, 3], pa.int32()), array(dest_type, [good, bad, None]), pa.array(["\0", "b", "c"])]
        with pytest.raises(InvalidValue, match="^Column “v”: ") as caught:
            encode(way, columns, arrays)
        assert reason in caught.value.message


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(width=32),
    "double precision": st.floats(),
    "numeric(7,7)": st.integers(1 - 10**7, 10**7 - 1).map(lambda number: Decimal(f"{number}e-7")),
    "numeric(38,17)": st.integers(1 - 10**38, 10**38 - 1).map(lambda number: Decimal(f"{number}e-17")),
    "numeric(38,0)": st.integers(1 - 10**38, 10**38 - 1).map(Decimal),
    "date": st.integers(-(2**31), 2**31 - 1),
    "time": st.integers(0, 86_400_000_000),
    "timestamp": st.integers(-(2**63), 2**63 - 1),
    "timestamptz(2)": st.integers(-(10**10), 10**10).map(lambda count: count * 10_000) | st.integers(),
    "text": st.text(),
    "varchar(4)": st.text(max_size=5),
    "jsonb": st.text(),
    "uuid": st.uuids().map(str) | st.text("0123456789abcdefAF{}-", min_size=30, max_size=40),
    "bytea": st.binary(),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Column], pa.RecordBatch]:
    """Return columns with rows, of which some before and behind are cut off; most values are ones that are stored."""
    types = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=5))
    count = draw(st.integers(0, 20))
    arrays = []
    for dest_type in types:
        values = VALUES[dest_type]
        if dest_type != "uuid" and draw(st.booleans()):
            values = values.filter(lambda value: "\0" not in str(value))
        rows = draw(st.lists(st.none() | values, min_size=count, max_size=count))
        arrays.append(array(dest_type, [None if isinstance(v, int) and abs(v) >= 2**63 else v for v in rows]))
    batch = pa.record_batch(arrays, names=[str(position) for position in range(len(types))])
    start = draw(st.integers(0, count))
    columns = [column(dest_type, f"c{position}") for position, dest_type in enumerate(types)]
    return columns, batch.slice(start, draw(st.integers(0, count - start)))


def outcome(encoding: Encoding, batch: pa.RecordBatch) -> bytes | tuple[str, str, str]:
    try:
        return encoded(encoding, batch)
    except InvalidValue as error:
        return error.message, error.hint, error.detail


@needs_compiler
@given(tables())
def test_the_compiled_encoder_writes_and_refuses_the_same(table: tuple[list[Column], pa.RecordBatch]) -> None:
    columns, batch = table
    assert outcome(compiled(columns), batch) == outcome(PgpqEncoding(columns), batch)


@needs_compiler
@given(st.integers(1, 38), st.integers(-20, 38), st.data())
def test_numerics_of_any_scale_keep_their_value(precision: int, scale: int, data: st.DataObject) -> None:
    assert ENCODER is not None
    number = data.draw(st.integers(1 - 10**precision, 10**precision - 1))
    unscaled = pa.array([number], pa.decimal128(38, 0)).buffers()
    decimals = pa.Array.from_buffers(pa.decimal128(38, scale), 1, unscaled)
    row = bytes(ENCODER.RowEncoder([("numeric", scale)]).encode([decimals], 0, 1))
    count, weight, sign, shown = struct.unpack(">hhHh", row[6:14])
    groups = struct.unpack(f">{count}H", row[14:])
    value = sum(group * Fraction(10000) ** (weight - position) for position, group in enumerate(groups))
    assert (-value if sign else value) == number * Fraction(10) ** -scale
    assert shown == max(scale, 0)
    assert not groups or (groups[0] and groups[-1])


@needs_compiler
def test_a_value_behind_many_rows_is_refused_and_one_that_is_null_is_not() -> None:
    """The rows are encoded in blocks, of which the first are sent before the last ones are checked."""
    columns = [column("text"), column("bigint", "n")]
    texts = pa.array(["a" * 30] * 50_000 + ["\0"])
    numbers = pa.array(range(50_001), pa.int64())
    batch = pa.record_batch([texts, numbers], names=["v", "n"])
    blocks = compiled(columns).blocks(batch)
    assert len(next(blocks)) < 500_000
    with pytest.raises(InvalidValue, match="NUL byte"):
        list(blocks)
    hidden = pa.Array.from_buffers(
        pa.string(), 50_001, [pa.array([True] * 50_000 + [False]).buffers()[1], *texts.buffers()[1:]]
    )
    batch = pa.record_batch([hidden, numbers], names=["v", "n"])
    assert encoded(compiled(columns), batch) == encoded(PgpqEncoding(columns), batch)


@needs_compiler
@pytest.mark.parametrize("offsets", [[0, 2, 1, 3], [0, 1, 9, 3], [2, 2, 0, 3], [0, 3, 0, 3]])
def test_offsets_beyond_the_data_are_refused(offsets: list[int]) -> None:
    """Also where NULL hides them: the values would need more space than the data has."""
    valid = pa.array([True, offsets[1] != 3, True]).buffers()[1]
    buffers = [valid, pa.array(offsets, pa.int32()).buffers()[1], pa.py_buffer(b"abc")]
    assert ENCODER is not None
    with pytest.raises(ValueError, match="row 2 of column 0 is damaged" if offsets[1] == 3 else "column 0"):
        ENCODER.RowEncoder([("bytea", 0)]).encode([pa.Array.from_buffers(pa.binary(), 3, buffers)], 0, 3)


@needs_compiler
def test_an_array_with_fewer_rows_or_shorter_buffers_is_refused() -> None:
    assert ENCODER is not None
    numbers = ENCODER.RowEncoder([("int4", 0), ("int8", 0)])
    with pytest.raises(ValueError, match="column 1 has fewer than 3 rows"):
        numbers.encode([pa.array([1, 2, 3], pa.int32()), pa.array([1, 2])], 0, 3)
    with pytest.raises(ValueError, match="the buffers of column 1 are too short"):
        numbers.encode([pa.array([1, 2, 3], pa.int32())] * 2, 0, 3)
