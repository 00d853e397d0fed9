"""Short forms of schedules, and descriptions of cron expressions in words."""

from __future__ import annotations

import pytest

from connections.sdk.errors import ConfigurationInvalid
from modules.cron import expression as cron
from modules.cron import shorthand


@pytest.mark.parametrize(
    ("form", "expression"),
    [
        ("daily 00:00", "0 0 * * *"),
        ("daily 4:05", "5 4 * * *"),
        ("daily", "0 0 * * *"),
        ("hourly 2", "0 */2 * * *"),
        ("hourly", "0 * * * *"),
        ("weekly mon 00:00", "0 0 * * mon"),
        ("weekly Sunday 23:59", "59 23 * * sun"),
        ("monthly 1 00:00", "0 0 1 * *"),
        ("monthly 31 12:30", "30 12 31 * *"),
        ("0 */2 * * *", "0 */2 * * *"),
        ("0  4 * *   mon", "0 4 * * mon"),
        ("@daily", "@daily"),
    ],
)
def test_a_short_form_becomes_a_cron_expression(form: str, expression: str) -> None:
    assert shorthand.expression_of(form.split()) == expression
    cron.parse(expression)


def test_an_expression_may_be_a_single_argument() -> None:
    assert shorthand.expression_of(["0 */2 * * *"]) == "0 */2 * * *"


@pytest.mark.parametrize(
    "form",
    [
        "daily 24:00",
        "daily 4",
        "daily 00:00 x",
        "hourly 0",
        "hourly 24",
        "hourly two",
        "weekly someday 00:00",
        "weekly monster",
        "monthly 32",
        "monthly 0 00:00",
        "monthly ²",
        f"monthly {'1' * 5000}",
        "yearly",
        "* * * *",
        "sometimes",
    ],
)
def test_an_invalid_form_is_refused(form: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        shorthand.expression_of(form.split())


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("0 4 * * *", "at 04:00, every day"),
        ("@daily", "at 00:00, every day"),
        ("30 6,18 * * mon,5", "at 06:30 and 18:30, on Mondays and Fridays"),
        ("0 0 13 * 5", "at 00:00, on day 13 of the month or on Fridays"),
        ("0 0 */2 * 5", "at 00:00, on day */2 of the month and on Fridays"),
        ("0 */2 * * *", "every 2 hours, every day"),
        ("*/15 * * * *", "every 15 minutes, every day"),
        ("0 * * * *", "every hour, every day"),
        ("5 * * * *", "at minute 5 of every hour, every day"),
        ("*/10 8-18 * 1-6 1-5", "every 10 minutes, in hours 8-18, on weekdays 1-5, in months 1-6"),
        ("0 0 * * 7", "at 00:00, on Sundays"),
    ],
)
def test_an_expression_is_described_in_words(expression: str, sentence: str) -> None:
    assert shorthand.sentence(expression) == sentence
