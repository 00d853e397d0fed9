"""Cron expressions: exactly what cron knows, and only what ever comes round."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from modules import cron_expression


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
        *cron_expression.MACROS,
    ],
)
def test_what_cron_knows_is_taken(text: str) -> None:
    cron_expression.check(text)


@pytest.mark.parametrize(
    ("text", "said"),
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
        ("0 0 31 2 *", "never comes round"),
        ("0 0 30,31 feb *", "never comes round"),
        ("four every day at noon", "“four”"),
    ],
)
def test_anything_else_is_refused_with_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        cron_expression.check(text)
    assert said in refused.value.messages[0]
