"""A group run that fails before its members: by settings that cannot be read, or by an error of Pipekit itself."""

from __future__ import annotations

import pytest
from django.db import OperationalError

from runs.lifecycle import groups
from runs.lifecycle.groups import execute_group_run
from runs.models import GroupRun, Setting
from runs.models.setting import current_settings
from runs.process import identity
from tests.factories import GroupRunFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def group_run() -> GroupRun:
    """A group run without members that has started in this process."""
    row: GroupRun = GroupRunFactory.create()
    row.start(**identity.current().as_fields())
    return row


def test_an_invalid_setting_ends_the_group_run_with_its_name(group_run: GroupRun) -> None:
    Setting.objects.create(invalid={"heartbeat_seconds": True})
    execute_group_run(group_run)
    stored = GroupRun.objects.get()
    assert (group_run.status, stored.status) == ("error", "error")
    assert "The stored value of the setting heartbeat_seconds is not valid" in (stored.error or {})["message"]


def test_the_settings_are_read_again_while_the_metadata_is_unavailable(
    group_run: GroupRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def unavailable_once() -> Setting:
        calls.append(1)
        if len(calls) == 1:
            raise OperationalError("the connection was lost")
        return current_settings()

    monkeypatch.setattr(groups, "current_settings", unavailable_once)
    execute_group_run(group_run)
    assert (GroupRun.objects.get().status, len(calls)) == ("success", 2)


def test_an_internal_error_is_reported_as_one_and_logged_with_its_traceback(
    group_run: GroupRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "current_settings", lambda: 1 // 0)
    execute_group_run(group_run)
    error = GroupRun.objects.get().error or {}
    assert error["message"].startswith("Internal error in Pipekit: ZeroDivisionError: ")
    assert "The group run's log has the traceback" in error["hint"]
    assert "Traceback (most recent call last)" in group_run.log_file.read_text()
