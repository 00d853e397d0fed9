"""Notification rules of group runs that fail as a whole."""

from __future__ import annotations

import pytest

from modules.models import Group
from runs.models.notification import Notification
from runs.notify.messages import notification_headline
from tests.factories import (
    GroupFactory,
    GroupRunFactory,
    change_settings,
)
from tests.integration.notify.ended_runs import ERROR

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("recipient")]


def group_run_ends(group: Group, error: dict[str, str] | None) -> int:
    """Run a group, which itself fails with the error, or succeeds; return the number of its run."""
    group_run = GroupRunFactory.create(group=group, trigger="schedule:2")
    group_run.start()
    if error:
        group_run.finish_error(error)
    else:
        group_run.finish_by_runs()
    return int(group_run.pk)


def test_the_failure_of_a_group_run_itself_is_reported_with_the_name_of_its_group() -> None:
    group = GroupFactory.create(name="nightly")
    change_settings(notify_every=3)
    for error in (ERROR, ERROR, ERROR, None, ERROR):
        group_run_ends(group, error)
    rows = Notification.objects.order_by("pk")
    assert [(row.kind, row.about.get("failures")) for row in rows] == [
        ("failure", 1),
        ("repeated", 3),
        ("recovery", None),
        ("failure", 1),
    ]
    assert rows[2].about["since"] == rows[1].about["since"]
    assert {(row.about["group"], row.about["module"], row.module) for row in rows} == {("nightly", None, None)}
    assert str(rows[0]) == "group nightly: Failed"
    assert notification_headline(rows[1].about) == "group nightly has failed 3 times in a row"


def test_a_group_that_failed_before_there_was_a_recipient_is_reported_with_its_next_failure() -> None:
    group = GroupFactory.create(name="nightly")
    change_settings(notification_addresses=[])
    group_run_ends(group, ERROR)
    change_settings(notification_addresses=["etl@example.com"])
    second = group_run_ends(group, ERROR)
    group_run_ends(group, ERROR)
    row = Notification.objects.get()
    assert (row.kind, row.about["failures"], row.about["group_run"]) == ("failure", 2, second)


def test_a_group_whose_failure_was_not_reported_has_no_recovery() -> None:
    group = GroupFactory.create(name="nightly")
    change_settings(notification_addresses=[])
    group_run_ends(group, ERROR)
    change_settings(notification_addresses=["etl@example.com"])
    group_run_ends(group, None)
    assert not Notification.objects.exists()
