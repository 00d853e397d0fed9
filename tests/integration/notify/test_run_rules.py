"""Notification rules of runs: first failures, every n-th failure and recoveries. Nothing is sent."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from connections.secrets.redaction import redactor
from pipekit_site.config.config import BASE_DIR
from runs.models import Run
from runs.models.notification import Notification, NotificationKind
from runs.models.states import Status
from runs.notify.run_rules import on_finished
from tests.factories import (
    GroupRunFactory,
    ModuleFactory,
    RunFactory,
    change_settings,
    create_running_run,
)
from tests.integration.notify.ended_runs import ERROR, NOW, ended, events

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("recipient")]


def test_the_first_failure_is_reported_with_its_error_and_hint() -> None:
    run = ended(ModuleFactory.create(name="qcrh"))
    row = Notification.objects.get()
    assert (row.kind, row.channel, row.module_name, row.run) == ("failure", "email", "qcrh", run)
    assert row.about["error"] == {key: ERROR[key] for key in ("code", "message", "hint")}
    assert (row.about["failures"], row.about["run"], row.about["trigger"]) == (1, run.pk, "schedule:1")
    assert row.due_at == run.finished_at


def test_the_settings_are_read_once_for_a_failure_and_for_a_recovery() -> None:
    module = ModuleFactory.create()
    for status in ("error", "error", "success"):
        run = RunFactory.create(module=module, trigger="schedule:1", status=status, finished_at=NOW, error=ERROR)
        with CaptureQueriesContext(connection) as queries:
            on_finished(run)
        assert len([query for query in queries if 'FROM "settings"' in query["sql"]]) == 1
    assert events(module) == ["failure", "recovery"]


def test_the_first_and_every_n_th_of_consecutive_failures_are_reported() -> None:
    module = ModuleFactory.create()
    change_settings(notify_every=4)
    for _ in range(9):
        ended(module)
    rows = Notification.objects.order_by("pk")
    assert [(row.kind, row.about["failures"]) for row in rows] == [("failure", 1), ("repeated", 4), ("repeated", 8)]
    first = Run.objects.order_by("pk")[0].finished_at
    assert first is not None
    assert dt.datetime.fromisoformat(rows[2].about["since"]) == first.replace(microsecond=0)


def test_the_first_success_after_failures_is_reported_once_as_recovery() -> None:
    module = ModuleFactory.create()
    for status in ("success", "error", "refused", "success", "success", "error", "success"):
        ended(module, status)
    assert events(module) == ["failure", "recovery", "failure", "recovery"]
    recovery = Notification.objects.filter(kind=NotificationKind.RECOVERY).order_by("pk")[0]
    assert recovery.about["failures"] == 2


def test_a_refused_run_is_reported_as_a_failure() -> None:
    module = ModuleFactory.create()
    ended(module, "refused")
    assert events(module) == ["failure"]
    assert Notification.objects.get().about["status"] == "refused"


@pytest.mark.parametrize(
    ("status", "fields"), [("cancelled", {"cancel_requested": True}), ("dry_run", {"dry_run": True})]
)
def test_cancelled_runs_and_dry_runs_are_not_reported(status: str, fields: dict[str, Any]) -> None:
    module = ModuleFactory.create()
    ended(module, status, **fields)
    assert events(module) == []


def test_a_failed_dry_run_is_neither_reported_nor_counted() -> None:
    module = ModuleFactory.create()
    change_settings(notify_every=2)
    ended(module)
    ended(module, "error", dry_run=True)
    assert events(module) == ["failure"]


@pytest.mark.parametrize("status", ["success", "refused"])
def test_a_restore_is_neither_reported_nor_counted(status: str) -> None:
    module = ModuleFactory.create()
    change_settings(notify_every=2)
    ended(module)
    ended(module, status, restore=True)
    assert events(module) == ["failure"]
    ended(module)
    assert events(module) == ["failure", "repeated"]


def test_a_cancelled_run_between_two_failures_does_not_start_a_new_series() -> None:
    module = ModuleFactory.create()
    for status in ("error", "cancelled", "error"):
        ended(module, status, cancel_requested=status == "cancelled")
    assert events(module) == ["failure"]


def test_a_run_that_was_stopped_without_a_request_to_cancel_is_reported_as_a_failure() -> None:
    module = ModuleFactory.create()
    change_settings(notify_every=2)
    for _ in range(2):
        ended(module, "cancelled")
    assert events(module) == ["failure", "repeated"]
    ended(module, "success")
    assert events(module)[-1] == "recovery"


@pytest.mark.parametrize("trigger", ["manual", "demo"])
def test_manual_runs_are_reported_only_if_the_setting_asks_for_it(trigger: str) -> None:
    module = ModuleFactory.create()
    ended(module, trigger=trigger)
    assert events(module) == []
    change_settings(notify_manual_runs=True)
    ended(module, trigger=trigger)
    assert events(module) == ["failure"]


@pytest.mark.parametrize("trigger", ["api", "schedule:7", "retry", "full_refresh"])
def test_failures_of_runs_with_any_other_trigger_are_reported(trigger: str) -> None:
    module = ModuleFactory.create()
    ended(module, trigger=trigger)
    assert events(module) == ["failure"]


def test_failures_in_a_group_run_are_reported_even_if_it_was_started_manually() -> None:
    module = ModuleFactory.create()
    ended(module, trigger="manual", group_run=GroupRunFactory.create())
    assert events(module) == ["failure"]


def test_a_manual_failure_does_not_count_for_the_next_scheduled_one() -> None:
    module = ModuleFactory.create()
    ended(module, trigger="manual")
    ended(module)
    assert events(module) == ["failure"]
    assert Notification.objects.get().about["failures"] == 1


def test_a_manual_success_ends_a_series_of_failures_and_the_next_scheduled_success_reports_the_recovery() -> None:
    module = ModuleFactory.create()
    ended(module)
    ended(module, "success", trigger="manual")
    ended(module)
    ended(module, "success", trigger="manual")
    assert events(module) == ["failure", "failure"]
    ended(module, "success")
    assert events(module) == ["failure", "failure", "recovery"]


def test_the_next_failure_is_reported_if_earlier_ones_had_no_recipient() -> None:
    module = ModuleFactory.create()
    change_settings(notification_addresses=[])
    ended(module)
    assert events(module) == []
    change_settings(notification_addresses=["etl@example.com"])
    ended(module)
    assert events(module) == ["failure"]
    assert Notification.objects.get().about["failures"] == 2


def test_an_event_has_one_notification_per_channel() -> None:
    change_settings(webhook_url="https://hooks.example.com/x")
    ended(ModuleFactory.create())
    assert sorted(Notification.objects.values_list("channel", flat=True)) == ["email", "webhook"]


def test_notifications_contain_no_secrets() -> None:
    redactor().add("canary-4471")
    run = create_running_run(trigger="schedule:1")
    run.finish_error({**ERROR, "message": "no login with canary-4471", "hint": "postgresql://etl:pw-118@db/x"})
    about = str(Notification.objects.get().about)
    assert "canary-4471" not in about
    assert "pw-118" not in about


def test_characters_that_a_database_cannot_store_are_removed_from_notifications() -> None:
    run = create_running_run(trigger="schedule:1")
    run.finish_error({**ERROR, "message": "bad\x00value \udcff here\r\nand there"})
    assert Notification.objects.get().about["error"]["message"] == "bad value here and there"


def test_a_notification_and_the_state_of_its_run_are_written_in_one_transaction() -> None:
    run = create_running_run(trigger="schedule:1")
    with pytest.raises(DatabaseError), transaction.atomic():
        run.finish_error(ERROR)
        assert Notification.objects.count() == 1
        raise DatabaseError("the disk is full")
    assert Run.objects.get(pk=run.pk).status == Status.RUNNING
    assert not Notification.objects.exists()


FINISH_AND_DIE = """
import os, signal
from runs.models import Run
Run.objects.get().finish_error({"code": "lost", "message": "gone", "hint": "", "detail": ""})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.matrix
@pytest.mark.django_db(transaction=True)
def test_a_process_killed_right_after_finishing_its_run_has_queued_the_notification() -> None:
    run = create_running_run(trigger="schedule:1")
    argv = [sys.executable, "manage.py", "shell", "--no-imports", "-c", FINISH_AND_DIE]
    assert subprocess.run(argv, cwd=BASE_DIR, capture_output=True).returncode == -9
    assert Run.objects.get().status == Status.ERROR
    assert Notification.objects.pending().get().run == run


def test_a_notification_that_cannot_be_queued_is_logged_and_does_not_stop_the_run_from_ending(
    caplog: pytest.LogCaptureFixture,
) -> None:
    change_settings(invalid={"notify_every": "often"})
    module = ModuleFactory.create()
    ended(module)
    assert ended(module).status == Status.ERROR
    assert "could not be written into the outbox" in caplog.text


def test_finishing_a_successful_run_takes_at_most_ten_queries(django_assert_max_num_queries: Any) -> None:
    run = create_running_run(trigger="schedule:1")
    with django_assert_max_num_queries(10):
        run.finish_success()
