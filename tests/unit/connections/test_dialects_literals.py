"""Literals of watermarks in each dialect: exact or rounded down, and safe from injection."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connections import registry
from connections.sdk.errors import DataError
from connections.sdk.sql.watermark_timestamps import Timestamp, converted_to
from connections.sdk.types import DataType, Kind

KINDS = registry.kinds()
TIMESTAMP = "2026-01-31 23:59:59.123456"
ZONED = "2026-01-31 23:59:59.123456+02"

LITERALS = [
    ("as400", Kind.DATE, "2026-01-31", "'2026-01-31'"),
    ("as400", Kind.TIME, "23:59:59.5", "'23.59.59'"),
    ("as400", Kind.TIMESTAMP, TIMESTAMP, "'2026-01-31-23.59.59.123456'"),
    ("as400", Kind.TIMESTAMP, "0001-01-01 00:00:00", "'0001-01-01-00.00.00.000000'"),
    ("as400", Kind.TIMESTAMPTZ, ZONED, "'2026-01-31-21.59.59.123456'"),
    ("sqlserver", Kind.DATE, "2026-01-31", "CAST('2026-01-31' AS date)"),
    ("sqlserver", Kind.TIME, "23:59:59.123456", "CAST('23:59:59.123456' AS time(7))"),
    ("sqlserver", Kind.TIMESTAMP, TIMESTAMP, "CAST('2026-01-31T23:59:59.123456' AS datetime2(7))"),
    ("sqlserver", Kind.TIMESTAMPTZ, ZONED, "CAST('2026-01-31T23:59:59.123456+02:00' AS datetimeoffset(7))"),
    ("mysql", Kind.DATE, "2026-01-31", "DATE '2026-01-31'"),
    ("mysql", Kind.TIMESTAMP, TIMESTAMP, "TIMESTAMP '2026-01-31 23:59:59.123456'"),
    ("mysql", Kind.TIMESTAMPTZ, ZONED, "TIMESTAMP '2026-01-31 21:59:59.123456'"),
    ("oracle", Kind.DATE, "2026-01-31", "DATE '2026-01-31'"),
    ("oracle", Kind.TIMESTAMP, TIMESTAMP, "TIMESTAMP '2026-01-31 23:59:59.123456'"),
    ("oracle", Kind.TIMESTAMPTZ, ZONED, "TIMESTAMP '2026-01-31 23:59:59.123456 +02:00'"),
    ("clickhouse", Kind.DATE, "2026-01-31", "toDate32('2026-01-31')"),
    ("clickhouse", Kind.TIMESTAMP, TIMESTAMP, "toDateTime64('2026-01-31 23:59:59.123456', 6, 'UTC')"),
    ("clickhouse", Kind.TIMESTAMPTZ, ZONED, "toDateTime64('2026-01-31 21:59:59.123456', 6, 'UTC')"),
    ("h2", Kind.DATE, "2026-01-31", "DATE '2026-01-31'"),
    ("h2", Kind.TIMESTAMP, "2026-01-31T23:59:59", "TIMESTAMP '2026-01-31 23:59:59'"),
    ("h2", Kind.TIMESTAMPTZ, ZONED, "TIMESTAMP WITH TIME ZONE '2026-01-31 23:59:59.123456+02:00'"),
    ("jdbc", Kind.TIMESTAMP, TIMESTAMP, "TIMESTAMP '2026-01-31 23:59:59.123456'"),
    ("postgresql", Kind.TIMESTAMPTZ, ZONED, "'2026-01-31 23:59:59.123456+02'::timestamptz"),
    ("sqlite", Kind.TIMESTAMP, TIMESTAMP, "'2026-01-31 23:59:59.123456'"),
]


@pytest.mark.parametrize(("kind", "type_kind", "value", "expected"), LITERALS)
def test_a_date_or_time_becomes_a_literal_of_the_dialect(kind: str, type_kind: Kind, value: str, expected: str) -> None:
    assert registry.dialect(kind).literal(value, DataType(kind=type_kind)) == expected


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "clickhouse"])
def test_a_number_is_its_own_literal(kind: str) -> None:
    for value in ("12345", "-1", "0.0000000001", "99999999999999999999999999999999999999"):
        assert registry.dialect(kind).literal(value, DataType(kind=Kind.DECIMAL)) == value


@pytest.mark.parametrize(
    ("native", "value", "expected"),
    [
        ("Int64", "-12345", "-12345"),
        ("UInt64", "18446744073709551615", "18446744073709551615"),
        ("Nullable(UInt128)", "18446744073709551616", "toUInt128('18446744073709551616')"),
        ("Int256", "-9223372036854775809", "toInt256('-9223372036854775809')"),
        ("Decimal(38, 10)", "123456789012345678.0000000001", "toDecimal256('123456789012345678.0000000001', 10)"),
        ("Float64", "0.1", "0.1"),
        ("Float64", "1e+20", "1e+20"),
    ],
)
def test_a_number_that_clickhouse_would_read_as_a_float_is_converted_to_its_type(
    native: str, value: str, expected: str
) -> None:
    data_type = registry.datatypes("clickhouse").parse(native)
    assert registry.dialect("clickhouse").literal(value, data_type) == expected


def accepted(kind: str, type_kind: Kind, values: Iterable[str]) -> list[str]:
    """Return the values that become literals of the type; the others are refused with DataError."""
    literals = list[str]()
    for value in values:
        with contextlib.suppress(DataError):
            registry.dialect(kind).literal(value, DataType(kind=type_kind))
            literals.append(value)
    return literals


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_that_is_not_a_number_is_refused(kind: str) -> None:
    attacks = ["1; DROP TABLE x", "'); DROP--", "1 OR 1=1", "{wm}", "NULL", "now()"]
    spellings = ["", "NaN", "٣", "1_0", "0x10", "1\n"]
    assert accepted(kind, Kind.BIGINT, [*attacks, *spellings, "7"]) == ["7"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("type_kind", "valid"),
    [
        (Kind.DATE, "2026-01-31"),
        (Kind.TIME, "10:00:00"),
        (Kind.TIMESTAMP, "2026-01-31 10:00:00"),
        (Kind.TIMESTAMPTZ, "2026-01-31 10:00:00+00"),
    ],
)
def test_a_value_that_is_not_a_date_or_time_is_refused(kind: str, type_kind: Kind, valid: str) -> None:
    attacks = ["2026-01-31' OR '1'='1", "2026-01-31--"]
    spellings = ["", "infinity", "today", "٢٠٢٦-٠١-٣١", "2026-01-31 10:00 BC"]
    assert accepted(kind, type_kind, [*attacks, *spellings, valid]) == [valid]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("type_kind", [Kind.TEXT, Kind.UUID, Kind.UNKNOWN])
def test_text_becomes_a_string_literal(kind: str, type_kind: Kind) -> None:
    value = "'); DROP TABLE x; -- {wm} %s ?"
    dialect = registry.dialect(kind)
    assert dialect.literal(value, DataType(kind=type_kind)) == dialect.string(value)


def test_the_literal_for_an_oracle_date_column_has_whole_seconds() -> None:
    literal = registry.dialect("oracle").literal(TIMESTAMP, registry.datatypes("oracle").parse("DATE"))
    assert literal == "TO_DATE('2026-01-31 23:59:59', 'YYYY-MM-DD HH24:MI:SS')"


DATETIME = registry.datatypes("sqlserver").parse("datetime")


def _seconds(literal: str) -> Fraction:
    # CAST('2026-01-31T10:00:00.0066666' AS datetime2(7))
    return Fraction(literal.split("10:00:")[1].split("'")[0])


def test_the_literal_of_a_displayed_sql_server_datetime_is_at_most_its_stored_value() -> None:
    for tick in range(300):
        # a datetime is stored in 300ths of a second, and displayed with three digits
        displayed = round(tick * 1000 / 300)
        seconds = _seconds(registry.dialect("sqlserver").literal(f"2026-01-31 10:00:00.{displayed:03d}", DATETIME))
        assert Fraction(tick - 1, 300) - Fraction(1, 10**7) < seconds <= Fraction(tick, 300)


@given(st.integers(0, 59_999_999))
def test_a_literal_for_a_sql_server_datetime_is_at_most_one_tick_too_low_and_never_too_high(microseconds: int) -> None:
    timestamp = datetime(2026, 1, 31, 10) + timedelta(microseconds=microseconds)
    seconds = _seconds(registry.dialect("sqlserver").literal(str(timestamp), DATETIME))
    exact = Fraction(microseconds, 10**6)
    assert exact - Fraction(1, 300) - Fraction(1, 10**7) < seconds <= exact


CONVERTED = [
    ("2026-01-31 10:00:00+02", Kind.TIMESTAMP, "2026-01-31 08:00:00"),
    ("2026-01-31T00:30:00.5+0200", Kind.DATE, "2026-01-30"),
    ("2026-01-31 10:00:00", Kind.DATE, "2026-01-31"),
    ("2026-01-31", Kind.TIMESTAMP, "2026-01-31 00:00:00"),
    ("2026-01-31", Kind.TIMESTAMPTZ, "2026-01-31 00:00:00"),
    ("0001-01-05 00:00:00-01:30", Kind.TIMESTAMP, "0001-01-05 01:30:00"),
    ("12026-01-31 10:00:00+00", Kind.TIMESTAMP, "12026-01-31 10:00:00"),
    ("no moment", Kind.DATE, "no moment"),
]


@pytest.mark.parametrize(("value", "kind", "expected"), CONVERTED)
def test_a_timestamp_is_converted_to_the_type_of_the_column_and_rounded_down(
    value: str, kind: Kind, expected: str
) -> None:
    assert converted_to(value, kind) == expected


def test_a_timestamp_after_the_year_9999_cannot_be_converted_to_utc() -> None:
    with pytest.raises(DataError, match="cannot be converted"):
        converted_to("12026-01-31 10:00:00+02", Kind.TIMESTAMP)


@given(st.datetimes(), st.integers(0, 12))
def test_fractions_of_seconds_are_truncated(timestamp: datetime, digits: int) -> None:
    parsed = Timestamp.parse(timestamp.isoformat())
    assert parsed is not None
    cut = datetime.fromisoformat(parsed.text(min(digits, 6)))
    assert cut <= timestamp < cut + timedelta(seconds=Fraction(1, 10 ** min(digits, 6)).__float__())
