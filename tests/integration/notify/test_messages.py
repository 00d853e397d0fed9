"""The text of notification mails: plain text, the footer, and a single query for the settings."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from runs.models.setting import current_settings
from runs.notify import messages
from tests.factories import change_settings

pytestmark = pytest.mark.django_db


def failure(number: int) -> dict[str, Any]:
    return {"event": "failure", "module": f"m{number}", "status": "error", "run": number, "trigger": "manual"}


@pytest.mark.parametrize("count", [1, 200])
def test_the_settings_are_read_once_for_a_mail(count: int, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    change_settings(site_url="https://pipekit.example.com/")
    with django_assert_num_queries(1):
        mail = messages.notification_mail(
            [failure(number) for number in range(1, count + 1)], current_settings(), key="k"
        )
    assert mail.text.count("https://pipekit.example.com/") == count


def test_texts_are_not_marked_as_safe_html() -> None:
    hostile = {**failure(1), "error": {"code": "x", "message": "<script>", "hint": "<b>"}}
    mails = [
        messages.notification_mail([hostile], current_settings(), key="k"),
        messages.notification_mail([hostile] * 2, current_settings(), key="k"),
        messages.test_mail(current_settings()),
    ]
    for mail in mails:
        assert (type(mail.text), type(mail.subject)) == (str, str)
    assert "<script>" in mails[0].text
    assert type(messages.notification_headline(hostile)) is str


@pytest.mark.parametrize(
    ("every", "reported"),
    [
        (1, "reports every failure, recoveries"),
        (2, "reports the first failure, then one of every 2 in a row, recoveries"),
        (10, "reports the first failure, then one of every 10 in a row, recoveries"),
    ],
)
def test_the_footer_says_which_failures_are_reported(every: int, reported: str) -> None:
    change_settings(notify_every=every)
    assert reported in " ".join(messages.notification_mail([failure(1)], current_settings(), key="k").text.split())
