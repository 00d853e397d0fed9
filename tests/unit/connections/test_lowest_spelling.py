"""Lower bounds for sources that compare texts sort before every spelling of the same or a later time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connections import registry
from connections.sdk.sql.watermark_timestamps import lowest_spelling
from connections.sdk.types import DataType, Kind

SPELLINGS = [
    ("2026-01-31 10:00:00", Kind.TIMESTAMP, "2026-01-31 10"),
    ("2026-01-31T10:30:00", Kind.TIMESTAMP, "2026-01-31 10:30"),
    ("2026-01-31 10:30:05.120", Kind.TIMESTAMP, "2026-01-31 10:30:05.12"),
    ("2026-01-31 00:00:00", Kind.TIMESTAMP, "2026-01-31"),
    ("2026-01-31", Kind.DATE, "2026-01-31"),
    ("2026-01-31T10:00:00Z", Kind.TEXT, "2026-01-31 10"),
    ("2024-01-02 04:00:00+00", Kind.TIMESTAMPTZ, "2024-01-01"),
    ("2024-01-01T23:00:00-05:00", Kind.TEXT, "2024-01-01"),
    ("2024-01-02 04:00:00+00:00", Kind.TEXT, "2024-01-01"),
    ("0001-01-01 00:00:00+00", Kind.TIMESTAMPTZ, "0001-01-01"),
    ("10:00:00", Kind.TIME, "10:00"),
    ("10:00:00.500", Kind.TIME, "10:00:00.5"),
    ("infinity", Kind.TIMESTAMP, None),
    ("0044-03-15 BC", Kind.DATE, None),
    ("12026-01-31 10:00:00", Kind.TIMESTAMP, None),
    ("2026-02-30 10:00:00+00", Kind.TIMESTAMPTZ, None),
]


@pytest.mark.parametrize(("value", "kind", "expected"), SPELLINGS)
def test_the_lowest_spelling_is_the_shortest_with_a_space(value: str, kind: Kind, expected: str | None) -> None:
    assert lowest_spelling(value, kind) == expected


TIMESTAMPS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29))
INTERVALS = st.one_of(st.just(timedelta()), st.timedeltas(timedelta(), timedelta(hours=40)))


def _text(timestamp: datetime, separator: str, timespec: str) -> str:
    return timestamp.isoformat(sep=separator, timespec=timespec)


@given(TIMESTAMPS, INTERVALS, st.sampled_from(" T"), st.sampled_from(" T"))
def test_no_text_of_a_later_timestamp_sorts_before_the_lowest_spelling(
    timestamp: datetime, interval: timedelta, separator: str, other_separator: str
) -> None:
    try:
        later = timestamp + interval
    except OverflowError:
        return
    low = lowest_spelling(_text(timestamp, separator, "auto"), Kind.TIMESTAMP)
    assert low is not None and low <= _text(later, other_separator, "auto")
    # only full minutes are written without seconds
    if later == later.replace(second=0, microsecond=0):
        assert low <= _text(later, other_separator, "minutes")


@given(
    TIMESTAMPS,
    INTERVALS,
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
    st.integers(-15 * 60, 15 * 60),
    st.sampled_from(" T"),
)
def test_no_text_of_a_later_timestamp_in_any_time_zone_sorts_before_the_lowest_spelling(
    timestamp: datetime, interval: timedelta, later_offset: int, offset: int, separator: str
) -> None:
    try:
        later = (timestamp.replace(tzinfo=UTC) + interval).astimezone(timezone(timedelta(minutes=later_offset)))
        value = timestamp.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=offset)))
    except OverflowError:
        return
    for kind in (Kind.TIMESTAMPTZ, Kind.TEXT):
        low = lowest_spelling(str(value), kind)
        assert low is not None and low <= later.isoformat(sep=separator)


@pytest.mark.parametrize("declared", ["datetime", "TIMESTAMP", "DATE", "TIME", "timestamptz", "TEXT", "varchar(9)", ""])
def test_sqlite_compares_dates_and_times_as_texts(declared: str) -> None:
    dialect, data_type = registry.dialect("sqlite"), registry.datatypes("sqlite").parse(declared)
    assert dialect.compares_as_text(data_type)
    # a column with text affinity never holds numbers
    assert dialect.may_hold_numbers(data_type) == (declared not in ("TEXT", "varchar(9)"))


@pytest.mark.parametrize("kind", [kind for kind in registry.kinds() if kind != "sqlite"])
def test_other_systems_compare_only_texts_as_texts(kind: str) -> None:
    dialect = registry.dialect(kind)
    assert {type_kind for type_kind in Kind if dialect.compares_as_text(DataType(kind=type_kind))} == {Kind.TEXT}
