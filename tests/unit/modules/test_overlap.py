"""An overlap is parsed as a number or as an interval, and refused if it is neither."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from modules.overlap import overlap_interval, overlap_number, overlap_problem


@pytest.mark.parametrize("text", ["0", "1000", " 2.5 "])
def test_a_number_is_parsed(text: str) -> None:
    assert overlap_number(text) == Decimal(text.strip())
    assert (overlap_interval(text), overlap_problem(text)) == (None, "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 days", dt.timedelta(days=2)),
        ("1 hour 30 minutes", dt.timedelta(minutes=90)),
        ("1 Week, 2 days and 3 seconds", dt.timedelta(days=9, seconds=3)),
        (" 0.5 hours ", dt.timedelta(minutes=30)),
        ("1microsecond", dt.timedelta(microseconds=1)),
    ],
)
def test_an_interval_is_parsed(text: str, expected: dt.timedelta) -> None:
    assert overlap_interval(text) == expected
    assert (overlap_number(text), overlap_problem(text)) == (None, "")


@pytest.mark.parametrize("text", ["", "-1", "1e3", "2 months", "days", "2 days and", "1 hour; 2 days", "NaN", "+5"])
def test_text_that_is_neither_number_nor_interval_is_refused(text: str) -> None:
    assert overlap_number(text) is None
    assert overlap_interval(text) is None
    assert overlap_problem(text)


@pytest.mark.parametrize("text", ["800000 days", "200000 weeks", f"1 hour {'9' * 80} days", f"{'9' * 90} microseconds"])
def test_an_interval_that_reaches_before_the_year_1_is_refused(text: str) -> None:
    assert "before the year 1" in overlap_problem(text)


@pytest.mark.parametrize("text", ["700000 days", "9" * 100])
def test_long_overlaps_that_runs_can_subtract_are_valid(text: str) -> None:
    assert overlap_problem(text) == ""
