"""Cron expressions are accepted if cron accepts them and they can ever fire."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from modules.cron import grammar


@pytest.mark.parametrize(
    "text",
    [
        "0 4 * * *",
        "*/5 * * * *",
        "0 0 * * MON",
        "0 0 * * mon-fri",
        "0,30 8-18/2 1,15 jan-jun *",
        "0 0 29 2 *",
        "0 0 13 * 5",
        "0 0 * * 7",
        "0 0 * * 5-7",
        "0 0 * * 0-7",
        "0 0 * * sun-tue",
        "0 0 * * fri-7",
        "7-7 0 * nov-dec *",
        *grammar.MACROS,
    ],
)
def test_an_expression_that_cron_accepts_is_accepted(text: str) -> None:
    grammar.check(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 fields"),
        ("* * * *", "4 fields"),
        ("0 0 4 * * *", "6 fields"),
        ("0 0 4 * * * 2027", "7 fields"),
        ("@reboot", "short forms are @hourly"),
        ("@Daily", "short forms are @hourly"),
        ("R R * * *", "“R”"),
        ("H H * * *", "“H”"),
        ("0 0 L * *", "“L”"),
        ("0 0 * * 1#2", "“1#2”"),
        ("0 0 ? * *", "“?”"),
        ("60 * * * *", "out of range"),
        ("* 24 * * *", "out of range"),
        ("5-1-2 * * * *", "0 4 * * *"),
        ("0 0 31 2 *", "never fires"),
        ("0 0 30,31 feb *", "never fires"),
        ("four every day at noon", "“four”"),
    ],
)
def test_an_invalid_expression_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        grammar.check(text)
    assert message in caught.value.messages[0]


@pytest.mark.parametrize(
    ("text", "reversed_range", "replacement"),
    [
        ("0 0 * * 5-1", "5-1", "5,6,0,1"),
        ("0 0 * * 6-0", "6-0", "6,0"),
        ("0 0 * * 7-2", "7-2", "0,1,2"),
        ("0 0 * * sat-mon", "sat-mon", "sat,sun,mon"),
        ("0 0 * * FRI-Tue", "fri-tue", "fri,sat,sun,mon,tue"),
        ("0 0 * * fri-sun", "fri-sun", "fri,sat,sun"),
        ("0 0 * * sat-1", "sat-1", "sat,sun,mon"),
        ("0 0 * * 1,fri-mon/2", "fri-mon/2", "fri,sun"),
        ("0 0 * nov-feb *", "nov-feb", "nov,dec,jan,feb"),
        ("0 0 * 11-2 *", "11-2", "11-12,1-2"),
        ("0 0 31-2 * *", "31-2", "31,1-2"),
        ("0 22-4 * * *", "22-4", "22-23,0-4"),
        ("0 22-4/3 * * *", "22-4/3", "22,1,4"),
        ("5,50-10 * * * *", "50-10", "50-59,0-10"),
    ],
)
def test_a_reversed_range_is_refused_and_the_equivalent_list_is_suggested(
    text: str, reversed_range: str, replacement: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        grammar.check(text)
    assert f"The range “{reversed_range}” in “{text}” runs backwards" in caught.value.messages[0]
    assert f"Write {replacement} instead." in caught.value.messages[0]
    grammar.check(text.lower().replace(reversed_range, replacement))
