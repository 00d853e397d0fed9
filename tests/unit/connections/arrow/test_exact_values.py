"""Exact conversion of any value, compared with Python's own decimals, dates and floats."""

from __future__ import annotations

import datetime as dt
from decimal import Context, Decimal
from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connections.sdk.arrow.calendar import calendar_texts, timestamp_text
from connections.sdk.arrow.convert import convert_exactly
from connections.sdk.arrow.invalid_values import invalid_value
from connections.sdk.arrow.texts import as_text, hex_text
from connections.sdk.errors import InvalidValue
from connections.sdk.schema import Column
from connections.sdk.types import DataType, Kind


def _column(kind: Kind, precision: int | None = None, scale: int | None = None) -> Column:
    return Column(dest_name="v", dest_type=kind.value, data_type=DataType(kind=kind, precision=precision, scale=scale))


@given(st.dates())
def test_a_date_becomes_text_in_iso_format(day: dt.date) -> None:
    assert timestamp_text((day - dt.date(1970, 1, 1)).days) == day.isoformat()


@given(st.datetimes())
def test_the_text_of_a_timestamp_is_parsed_as_the_same_timestamp(timestamp: dt.datetime) -> None:
    (text,) = calendar_texts(pa.array([timestamp], pa.timestamp("us")))
    whole, _, fraction = str(text).partition(".")
    assert dt.datetime.fromisoformat(f"{whole}.{fraction:0<6}") == timestamp


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=2))
def test_a_double_with_two_decimal_places_becomes_the_same_decimal(number: Decimal) -> None:
    converted = convert_exactly(pa.array([float(number)]), _column(Kind.DECIMAL, 15, 2))
    assert converted.to_pylist() == [number]


def test_a_double_with_more_than_fifteen_digits_becomes_its_shortest_digits_among_shorter_ones() -> None:
    converted = convert_exactly(pa.array([1.0, 1.0000000000000002e17]), _column(Kind.DECIMAL, 38, 0))
    assert converted.to_pylist() == [1, 100000000000000020]


def test_a_double_beyond_the_precision_is_refused_among_others() -> None:
    with pytest.raises(InvalidValue, match="1000.0"):
        convert_exactly(pa.array([1.25, 1000.0, None]), _column(Kind.DECIMAL, 5, 2))


@given(st.floats(allow_nan=False, allow_infinity=False, width=64), st.integers(0, 10))
def test_a_double_becomes_a_decimal_of_the_same_value_or_is_refused(number: float, scale: int) -> None:
    try:
        (converted,) = convert_exactly(pa.array([number]), _column(Kind.DECIMAL, 38, scale)).to_pylist()
    except InvalidValue:
        # it has more decimal places than the scale, or more than 38 digits
        shortest = Decimal(repr(number))
        assert shortest.as_tuple().exponent < -scale or abs(shortest) >= 10 ** (38 - scale)  # type: ignore[operator]
    else:
        assert float(converted) == number or float(f"{converted:.15g}") == float(f"{number:.15g}")


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**27), max_value=10**27, places=10))
def test_the_text_of_a_decimal_is_converted_to_a_decimal_and_back_without_change(number: Decimal) -> None:
    column = _column(Kind.DECIMAL, 38, 10)
    text = format(number, "f")
    converted = convert_exactly(pa.array([text]), column)
    assert converted.to_pylist() == [number]
    assert Decimal(as_text(converted, column)[0].as_py()) == number
    assert "E" not in as_text(converted, column)[0].as_py()


@given(
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["", "-", "+"]),
        st.from_regex(r"\A0*[0-9]{1,60}\Z"),
        st.from_regex(r"\A(\.[0-9]{0,60})?\Z"),
        st.from_regex(r"\A([eE][+-]?[0-9]{1,3})?\Z"),
    ),
    st.integers(1, 38),
    st.integers(0, 38),
)
def test_the_text_of_any_number_is_converted_exactly_or_refused(text: str, precision: int, scale: int) -> None:
    scale = min(scale, precision)
    number = Fraction(Decimal(text))
    fits = (number * 10**scale).denominator == 1 and abs(number) < Fraction(10) ** (precision - scale)
    try:
        (converted,) = convert_exactly(pa.array([text]), _column(Kind.DECIMAL, precision, scale)).to_pylist()
    except InvalidValue:
        assert not fits
    else:
        assert Fraction(converted) == number and fits


@given(st.integers(-(10**38) + 1, 10**38 - 1), st.integers(0, 38), st.integers(1, 38), st.integers(0, 38))
def test_a_decimal_of_another_scale_is_converted_exactly_or_refused(
    digits: int, source_scale: int, precision: int, scale: int
) -> None:
    scale = min(scale, precision)
    number = Decimal(digits).scaleb(-source_scale, Context(prec=60))
    fits = (Fraction(number) * 10**scale).denominator == 1 and abs(Fraction(number)) < Fraction(10) ** (
        precision - scale
    )
    column = _column(Kind.DECIMAL, precision, scale)
    arrays = [pa.array([number], pa.decimal128(38, source_scale))]
    if source_scale == 0 and abs(digits) < 2**63:
        arrays.append(pa.array([digits], pa.int64()))
    for array in arrays:
        try:
            (converted,) = convert_exactly(array, column).to_pylist()
        except InvalidValue:
            assert not fits
        else:
            assert Fraction(converted) == Fraction(number) and fits


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_is_converted_exactly_or_refused(number: int) -> None:
    bigint, double = _column(Kind.BIGINT), _column(Kind.DOUBLE)
    assert convert_exactly(pa.array([str(number)]), bigint).to_pylist() == [number]
    try:
        (converted,) = convert_exactly(pa.array([number], pa.int64()), double).to_pylist()
    except InvalidValue:
        assert abs(number) > 2**53
    else:
        assert int(converted) == number


@given(st.lists(st.none() | st.binary(max_size=5), max_size=9), st.integers(0, 3))
def test_bytes_become_hexadecimal_text(values: list[bytes | None], start: int) -> None:
    expected = [None if value is None else "\\x" + value.hex() for value in values][start:]
    assert hex_text(pa.array(values, pa.binary()).slice(start)).to_pylist() == expected


@pytest.mark.parametrize("kind", [Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.BOOLEAN, Kind.BIGINT, Kind.DOUBLE])
def test_an_invalid_value_late_in_a_batch_is_reported(kind: Kind) -> None:
    valid = {Kind.DATE: "2020-01-31", Kind.TIME: "10:00:00", Kind.TIMESTAMP: "2020-01-31 10:00:00"}.get(kind, "1")
    values = [valid, None] * 5000 + ["nope!"] + [valid] * 300
    with pytest.raises(InvalidValue, match="“nope!”"):
        convert_exactly(pa.array(values), _column(kind))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=7, min_value=-(10**40), max_value=10**40))
def test_a_decimal_that_is_too_wide_for_arrow_stays_text_or_is_refused(number: Decimal) -> None:
    column = _column(Kind.DECIMAL, 50, 5)
    for text in (format(number, "f"), f"{number:E}"):
        if (Fraction(number) * 10**5).denominator == 1:
            assert convert_exactly(pa.array([text, None]), column).to_pylist() == [text, None]
        else:
            with pytest.raises(InvalidValue):
                convert_exactly(pa.array([None, text]), column)


@pytest.mark.parametrize("text", ["0x1f", "1_000", "1,5", "", "--1", "1e", "abc"])
def test_text_that_is_not_a_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        convert_exactly(pa.array([text]), _column(Kind.DECIMAL))


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "inf", "1e400", " 1.5 ", ".5", "5."])
def test_text_for_an_unbounded_decimal_is_not_changed(text: str) -> None:
    assert convert_exactly(pa.array([text]), _column(Kind.DECIMAL)).to_pylist() == [text]


@pytest.mark.parametrize(
    ("kind", "text", "hint"),
    [
        (Kind.DATE, "5881580-07-10", "Its year is out of range for date in the destination"),
        (Kind.DATE, "-4713-01-01", "Its year is out of range"),
        (Kind.TIMESTAMP, "0044-03-15 12:00:00 BC", "Its year is out of range"),
        (Kind.DATE, "2026-02-30", "This day does not exist"),
        (Kind.TIMESTAMP, "2026-13-10 10:00", "This day does not exist"),
        (Kind.DATE, "0000-00-00", "There is no year 0"),
        (Kind.DATE, "20260131", "a date without hyphens"),
        (Kind.TIMESTAMP, "1767225600", "a Unix timestamp"),
        (Kind.DATE, "2026-01-31T10:00:00+01:00", "It has a time zone"),
        (Kind.TIMESTAMP, "2026-01-31 10:00:00.5-05", "It has a time zone"),
        (Kind.TIMESTAMP, "20260131T100000Z", "It has a time zone"),
        (Kind.TIME, "10:00Z", "It has a time zone"),
        (Kind.TIMESTAMP, "31/01/2026 10:00", "correct the value"),
        (Kind.DATE, "2026-1-5", "correct the value"),
    ],
)
def test_the_hint_explains_what_is_wrong_with_the_value(kind: Kind, text: str, hint: str) -> None:
    assert hint in invalid_value(_column(kind), text).hint
