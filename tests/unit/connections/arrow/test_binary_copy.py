"""Decoding of PostgreSQL's binary COPY data, for data made here; integration tests decode that of a server."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connections.connectors.postgresql.copy.binary_values import array, field, refuse
from connections.sdk.compiled import import_compiled
from connections.sdk.errors import InvalidValue
from connections.sdk.schema import Column
from connections.sdk.types import DataType, Kind

# without a compiler nothing here can run; that there is one where it is expected is another test's
if import_compiled("connections.connectors.postgresql.copy.binary_decoder") is None:
    pytest.skip("the decoder is not compiled", allow_module_level=True)

from connections.connectors.postgresql.copy.binary_decoder import Decoder, InvalidData  # noqa: E402
from connections.connectors.postgresql.copy.binary_rows import HEADER, filled  # noqa: E402

TRAILER = b"\xff\xff"
# what begins a row of two fields, in which one of the values consists of such beginnings
_LIKE_ROWS = b"\0\2\0\0\0\x08\0\2\xff\xff\xff\xff\0\2\0\0\0\x08"


def numeric(value: Decimal, scale: int = 0) -> bytes:
    """Return the value in PostgreSQL's format, displayed with ``scale`` decimals."""
    if not value.is_finite():
        sign = 0xC000 if value.is_nan() else 0xF000 if value < 0 else 0xD000
        return struct.pack(">hhHh", 0, 0, sign, 0)
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    scale = max(scale, -exponent)
    whole, _, decimals = f"{value.copy_abs():f}".partition(".")
    whole = whole.zfill(-(-len(whole) // 4) * 4)
    decimals = decimals.ljust(-(-len(decimals) // 4) * 4, "0")
    groups = [int((whole + decimals)[at : at + 4]) for at in range(0, len(whole + decimals), 4)]
    weight = len(whole) // 4 - 1
    while groups and not groups[0]:
        groups, weight = groups[1:], weight - 1
    while groups and not groups[-1]:
        groups = groups[:-1]
    header = struct.pack(">hhHh", len(groups), weight if groups else 0, 0x4000 if sign and groups else 0, scale)
    return header + struct.pack(f">{len(groups)}H", *groups)


def copy_data(rows: Sequence[Sequence[bytes | None]]) -> bytes:
    encoded = [
        struct.pack(">h", len(row))
        + b"".join(struct.pack(">i", -1) if v is None else struct.pack(">i", len(v)) + v for v in row)
        for row in rows
    ]
    return HEADER + b"".join(encoded) + TRAILER


def column(kind: Kind, precision: int | None = None, scale: int | None = None) -> Column:
    data_type = DataType(kind=kind, precision=precision, scale=scale)
    return Column(dest_name="v", dest_type=f"decimal({precision},{scale})", data_type=data_type)


def decoded(
    data: Sequence[bytes], sent: Sequence[str], columns: Sequence[Column], *, most_rows: int = 7
) -> list[tuple[object, ...]]:
    """Decode parts of COPY data and return the rows."""
    rows: list[tuple[object, ...]] = []
    decoder = Decoder([field(*pair) for pair in zip(sent, columns, strict=True)], most_rows, 1000)
    for count in filled(decoder, data):
        for position, (_, value) in decoder.unrepresentable.items():
            refuse(value, sent[position], columns[position])
        fields = zip(decoder.take(), sent, columns, strict=True)
        arrays = [
            array(buffers, count, name, name, column, ascii=position in decoder.ascii)
            for position, (buffers, name, column) in enumerate(fields)
        ]
        for each in arrays:
            each.validate(full=True)
        rows += zip(*(each.to_pylist() for each in arrays), strict=True)
    return rows


def numbers(values: Sequence[Decimal | None], precision: int, scale: int) -> list[object]:
    data = copy_data([[None if value is None else numeric(value)] for value in values])
    return [row[0] for row in decoded([data], ["numeric"], [column(Kind.DECIMAL, precision, scale)])]


@st.composite
def decimals(draw: st.DrawFn) -> tuple[list[Decimal | None], int, int]:
    precision = draw(st.integers(1, 38))
    scale = draw(st.integers(0, precision))
    digits = st.integers(1, precision).flatmap(lambda count: st.integers(-(10**count) + 1, 10**count - 1))
    # as a column of a smaller scale has them too
    unscaled = st.tuples(digits, st.integers(0, scale)).map(lambda pair: _shortened(*pair))
    values = draw(st.lists(st.none() | unscaled.map(lambda number: Decimal(number).scaleb(-scale)), max_size=20))
    return values, precision, scale


def _shortened(number: int, zeros: int) -> int:
    return int(number / 10**zeros) * 10**zeros if abs(number) < 10**15 else number


@given(decimals())
def test_numerics_are_decoded_to_the_same_decimals(case: tuple[list[Decimal | None], int, int]) -> None:
    values, precision, scale = case
    assert numbers(values, precision, scale) == values


@pytest.mark.parametrize(
    ("value", "precision", "scale"),
    [
        ("1.5", 5, 0),
        ("1000", 3, 0),
        ("9999999999999999.99", 15, 2),
        ("0.001", 15, 2),
        ("1e20", 18, 0),
        ("1e-30", 38, 9),
    ],
)
def test_a_numeric_that_the_column_cannot_hold_is_refused(value: str, precision: int, scale: int) -> None:
    with pytest.raises(InvalidValue) as caught:
        numbers([None, Decimal(1), Decimal(value)], precision, scale)
    assert f"“{Decimal(value):f}”" in caught.value.message


@pytest.mark.parametrize(("value", "shown"), [("NaN", "nan"), ("Infinity", "inf"), ("-Infinity", "-inf")])
def test_a_numeric_that_is_no_number_is_refused(value: str, shown: str) -> None:
    with pytest.raises(InvalidValue, match=f"“v”: “{shown}” does not fit"):
        numbers([Decimal(1), Decimal(value)], 15, 2)


@pytest.mark.parametrize(("number", "scale"), [(2**64 + 5, 0), (2**52, 12), (-(2**64) * 10**8 - 7, 4)])
def test_a_numeric_that_overflows_64_bits_keeps_its_value(number: int, scale: int) -> None:
    assert numbers([Decimal(number), Decimal(1)], 38, scale) == [number, 1]


@pytest.mark.parametrize("scale", range(0, 39))
def test_a_decimal_of_38_nines_is_decoded_whatever_its_scale(scale: int) -> None:
    value = Decimal((1, (9,) * 38, -scale))
    both = [value, value.copy_abs()]
    assert numbers(both, 38, scale) == both


def test_zero_is_decoded_whatever_its_decimals() -> None:
    data = copy_data([[numeric(Decimal(0), scale)] for scale in (0, 2, 20)])
    assert decoded([data], ["numeric"], [column(Kind.DECIMAL, 15, 2)]) == [(Decimal(0),)] * 3


ROWS: list[tuple[bytes | None, bytes | None]] = [
    (struct.pack(">q", 2**40), b"text"),
    (None, None),
    (struct.pack(">q", 0x0002_0000_0008_0002), _LIKE_ROWS),
    (b"\0\2\0\0\0\x08\0\2", b""),
    (struct.pack(">q", -1), _LIKE_ROWS * 3),
]
EXPECTED = [(None if row[0] is None else struct.unpack(">q", row[0])[0], row[1]) for row in ROWS]
PAIR = (["bigint", "bytea"], [column(Kind.BIGINT), column(Kind.BINARY)])


def split(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def test_rows_are_found_wherever_the_data_is_cut_and_whatever_the_values_look_like() -> None:
    data = copy_data(ROWS)
    for size in range(1, len(data) + 1):
        assert decoded(list(split(data, size)), *PAIR) == EXPECTED


@given(st.lists(st.tuples(st.none() | st.binary(max_size=40), st.none() | st.binary(max_size=40))), st.integers(1, 200))
def test_bytes_of_any_rows_arrive(rows: list[tuple[bytes | None, bytes | None]], size: int) -> None:
    columns = [column(Kind.BINARY)] * 2
    assert decoded(list(split(copy_data(rows), size)), ["bytea", "bytea"], columns) == rows


def test_data_that_ends_early_or_has_other_fields_is_refused() -> None:
    data = copy_data(ROWS)
    for end in range(len(HEADER), len(data)):
        with pytest.raises(InvalidData):
            decoded([data[:end]], *PAIR)
    with pytest.raises(InvalidData):
        decoded([copy_data([[b"x"]])], *PAIR)
    with pytest.raises(InvalidData):
        decoded([copy_data([[struct.pack(">i", 1), b"x"]])], *PAIR)
    with pytest.raises(InvalidData):
        decoded([b"x" + data], *PAIR)


def test_a_result_without_rows_has_no_batch() -> None:
    assert decoded([copy_data([])], *PAIR) == []


INT32, INT64 = 2**31 - 1, 2**63 - 1
DAYS, MICROS = 10_957, 946_684_800_000_000


@pytest.mark.parametrize(
    ("sent", "kind", "data", "expected"),
    [
        ("boolean", Kind.BOOLEAN, b"\0", False),
        ("boolean", Kind.BOOLEAN, b"\x01", True),
        ("smallint", Kind.SMALLINT, b"\x80\0", -(2**15)),
        ("integer", Kind.INTEGER, b"\x80\0\0\0", -INT32 - 1),
        ("integer", Kind.BIGINT, b"\xff\xff\xff\xff", -1),
        ("bigint", Kind.BIGINT, b"\x7f" + b"\xff" * 7, INT64),
        ("oid", Kind.BIGINT, b"\xff\xff\xff\xff", 2**32 - 1),
        ("real", Kind.REAL, struct.pack(">f", -0.0), "-0.0"),
        ("double precision", Kind.DOUBLE, struct.pack(">d", float("nan")), "nan"),
        ("double precision", Kind.DOUBLE, struct.pack(">d", float("-inf")), "-inf"),
        ("uuid", Kind.UUID, bytes(range(0xF0, 0x100)), "f0f1f2f3-f4f5-f6f7-f8f9-fafbfcfdfeff"),
        ("text", Kind.TEXT, "é\0漢".encode(), "é\0漢"),
        ("bytea", Kind.BINARY, b"\xff\0", b"\xff\0"),
        ("date", Kind.DATE, struct.pack(">i", INT32), INT32),
        ("date", Kind.DATE, struct.pack(">i", -INT32 - 1), -INT32),
        ("date", Kind.DATE, struct.pack(">i", -2_451_545), -2_451_545 + DAYS),
        ("time without time zone", Kind.TIME, struct.pack(">q", 86_400_000_000), 86_400_000_000),
        ("timestamp without time zone", Kind.TIMESTAMP, struct.pack(">q", -1), MICROS - 1),
        ("timestamp without time zone", Kind.TIMESTAMP, struct.pack(">q", INT64), INT64),
        ("timestamp with time zone", Kind.TIMESTAMPTZ, struct.pack(">q", -INT64 - 1), -INT64),
        ("timestamp with time zone", Kind.TIMESTAMPTZ, struct.pack(">q", INT64 - MICROS - 1), INT64 - 1),
    ],
)
def test_a_value_of_each_type_is_decoded_among_nulls(sent: str, kind: Kind, data: bytes, expected: object) -> None:
    decoder = Decoder([field(sent, column(kind))], 100, 1000)
    assert list(filled(decoder, [copy_data([[data], [None], [data]] * 5)])) == [15]
    (buffers,) = decoder.take()
    values = array(buffers, 15, sent, sent, column(kind), ascii=0 in decoder.ascii)
    # Arrow has no 24:00
    values.validate(full=not pa.types.is_time(values.type))
    if pa.types.is_temporal(values.type):
        # Python's types do not hold them all
        values = values.view(pa.int32() if values.type.bit_width == 32 else pa.int64())
    shown = [str(value) if isinstance(value, float) else value for value in values.to_pylist()]
    assert shown == [expected, None, expected] * 5


@pytest.mark.parametrize("count", [INT64 - MICROS, INT64 - 1])
def test_a_timestamp_that_arrow_cannot_count_is_refused(count: int) -> None:
    with pytest.raises(InvalidValue, match="is later than the last timestamp that Arrow represents"):
        decoded([copy_data([[struct.pack(">q", count)]])], ["timestamp without time zone"], [column(Kind.TIMESTAMP)])


def test_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(InvalidValue, match="is not valid UTF-8 text"):
        decoded([copy_data([[b"a"], [b"\xe9"]])], ["text"], [column(Kind.TEXT)])


@pytest.mark.parametrize(
    ("sent", "kind", "data"),
    [
        ("bigint", Kind.BIGINT, b"1234567"),
        ("boolean", Kind.BOOLEAN, b""),
        ("uuid", Kind.UUID, b"123"),
        ("date", Kind.DATE, struct.pack(">i", INT32 - 1)),
        ("numeric", Kind.DECIMAL, b"\0\0\0\0\0\0"),
        ("numeric", Kind.DECIMAL, struct.pack(">hhHhH", 2, 0, 0, 0, 1)),
        ("numeric", Kind.DECIMAL, struct.pack(">hhHhH", 1, 0, 0, 0, 10_000)),
        ("numeric", Kind.DECIMAL, struct.pack(">hhHhH", 1, 0, 0x1000, 0, 1)),
    ],
)
def test_a_damaged_value_is_refused_with_its_place(sent: str, kind: Kind, data: bytes) -> None:
    columns = [column(Kind.INTEGER), column(kind, 10, 2)]
    rows = [[b"\0\0\0\x01", None]] * 9 + [[None, data]]
    with pytest.raises(InvalidData, match=f"the value of {len(data)} bytes in row 10, column 2, is damaged"):
        decoded([copy_data(rows)], ["integer", sent], columns)


def test_a_length_below_that_of_null_is_refused() -> None:
    with pytest.raises(InvalidData, match="the value of -2 bytes in row 1, column 1, is damaged"):
        decoded([HEADER + struct.pack(">hi", 1, -2) + TRAILER], ["text"], [column(Kind.TEXT)])
