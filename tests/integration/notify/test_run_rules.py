"""Notification rules of runs: first failures, every n-th failure, recoveries and late modules. Nothing is sent."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from connections.secrets.redaction import redactor
from modules.models import Group, Module
from pipekit_site.config.config import BASE_DIR
from runs import notify
from runs.models import Run
from runs.models.notification import Notification, NotificationKind
from runs.models.states import Status
from runs.notify import messages
from tests.factories import (
    GroupFactory,
    GroupRunFactory,
    ModuleFactory,
    RunFactory,
    change_settings,
    create_running_run,
)

pytestmark = pytest.mark.django_db
ERROR = {"code": "connection_failed", "message": "erp does not answer.", "hint": "Start it.", "detail": "errno 111"}
NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def recipient() -> Iterator[None]:
    change_settings(notification_addresses=["etl@example.com"])
    yield


def ended(module: Module, status: str = "error", **fields: Any) -> Run:
    """Return a finished run of the module, by default one that a schedule started and that failed."""
    run = create_running_run(module=module, **{"trigger": "schedule:1", **fields})
    run.finish(Status(status), **({} if status in ("success", "dry_run") else {"error": ERROR}))
    return run


def events(module: Module) -> list[str]:
    """Return the kinds of the module's notifications, in order."""
    return list(Notification.objects.filter(module=module).order_by("pk").values_list("kind", flat=True))


def test_the_first_failure_is_reported_with_its_error_and_hint() -> None:
    run = ended(ModuleFactory.create(name="qcrh"))
    row = Notification.objects.get()
    assert (row.kind, row.channel, row.module_name, row.run) == ("failure", "email", "qcrh", run)
    assert row.about["error"] == {key: ERROR[key] for key in ("code", "message", "hint")}
    assert (row.about["failures"], row.about["run"], row.about["trigger"]) == (1, run.pk, "schedule:1")
    assert row.due_at == run.finished_at


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


def aged(hours: float, **fields: Any) -> Module:
    """Return a module that was created so many hours before NOW."""
    module = ModuleFactory.create(**fields)
    Module.objects.filter(pk=module.pk).update(created_at=NOW - dt.timedelta(hours=hours))
    return module


def succeeded(module: Module, hours: float, **fields: Any) -> Run:
    """Return a scheduled run of the module that succeeded so many hours before NOW."""
    at = NOW - dt.timedelta(hours=hours)
    return RunFactory.create(module=module, status=Status.SUCCESS, finished_at=at, trigger="schedule:1", **fields)


def test_no_module_is_late_while_late_after_hours_is_unset() -> None:
    succeeded(aged(1000), 999)
    assert notify.find_late(NOW) == 0


def test_a_module_without_a_success_for_too_long_is_reported_once_on_every_channel() -> None:
    change_settings(late_after_hours=24, webhook_url="https://hooks.example.com/x")
    late, on_time = aged(100), aged(100)
    succeeded(late, 25)
    succeeded(on_time, 23)
    assert [notify.find_late(NOW + dt.timedelta(minutes=minute)) for minute in range(3)] == [1, 0, 0]
    assert events(late) == ["late", "late"]
    assert events(on_time) == []
    about = Notification.objects.order_by("pk")[0].about
    assert (about["since"], about["hours"]) == ("2026-11-20T11:00:00+00:00", 24)


def test_the_success_of_a_late_module_is_reported_and_it_may_be_late_again() -> None:
    change_settings(late_after_hours=24)
    module = aged(100)
    succeeded(module, 30)
    notify.find_late(NOW)
    run = create_running_run(module=module, trigger="schedule:1")
    run.finish_success()
    assert events(module) == ["late", "recovery"]
    assert notify.find_late(timezone.now() + dt.timedelta(hours=25)) == 1
    assert events(module) == ["late", "recovery", "late"]


def test_a_module_that_only_ever_fails_is_late() -> None:
    change_settings(late_after_hours=24)
    module = aged(25)
    ended(module)
    assert notify.find_late(NOW) == 1
    assert events(module) == ["failure", "late"]


def test_disabled_modules_and_modules_that_only_run_manually_are_not_late() -> None:
    change_settings(late_after_hours=24)
    succeeded(aged(100, enabled=False), 30)
    for trigger in ("manual", "demo"):
        finished_at = NOW - dt.timedelta(hours=50)
        RunFactory.create(module=aged(100), status=Status.SUCCESS, finished_at=finished_at, trigger=trigger)
    assert notify.find_late(NOW) == 0


def test_only_the_modules_given_to_find_late_can_be_late() -> None:
    change_settings(late_after_hours=24)
    never_ran, other = aged(25), aged(100)
    succeeded(other, 30)
    assert notify.find_late(NOW, Module.objects.filter(pk=never_ran.pk)) == 1
    assert (events(never_ran), events(other)) == (["late"], [])


def test_finishing_a_successful_run_takes_at_most_ten_queries(django_assert_max_num_queries: Any) -> None:
    run = create_running_run(trigger="schedule:1")
    with django_assert_max_num_queries(10):
        run.finish_success()


def group_run_ends(group: Group, error: dict[str, str] | None) -> int:
    """Run a group, which itself fails with the error, or succeeds; return the number of its run."""
    group_run = GroupRunFactory.create(group=group, trigger="schedule:2")
    group_run.start()
    if error:
        group_run.finish_error(error)
    else:
        group_run.finish()
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
    assert messages.headline(rows[1].about) == "group nightly has failed 3 times in a row"


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
