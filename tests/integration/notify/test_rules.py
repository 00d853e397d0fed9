"""What of runs is told, once each: first failures, every n-th, recoveries, lateness. Nothing here is sent."""

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
from modules.models import Module
from pipekit_site.config.config import BASE_DIR
from runs import notify
from runs.models import Run
from runs.models.notification import Notification, NotificationKind
from runs.models.states import Status
from runs.notify import messages
from tests.factories import GroupFactory, GroupRunFactory, ModuleFactory, RunFactory, change_settings, running

pytestmark = pytest.mark.django_db
ERROR = {"code": "connection_failed", "message": "erp does not answer.", "hint": "Start it.", "detail": "errno 111"}
NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def somebody_is_told() -> Iterator[None]:
    change_settings(notification_addresses=["etl@example.com"])
    yield


def ended(module: Module, status: str = "error", **fields: Any) -> Run:
    """Run the module from a schedule to its end."""
    run = running(module=module, **{"trigger": "schedule:1", **fields})
    if status in ("success", "dry_run"):
        getattr(run, f"finish_{status}")()
    else:
        getattr(run, f"finish_{status}")(ERROR)
    return run


def told(module: Module) -> list[str]:
    """Return what was told of the module, in order."""
    return list(Notification.objects.filter(module=module).order_by("pk").values_list("kind", flat=True))


def test_the_first_failure_is_told_with_what_happened_and_what_to_do() -> None:
    run = ended(ModuleFactory.create(name="qcrh"))
    row = Notification.objects.get()
    assert (row.kind, row.channel, row.module_name, row.run) == ("failure", "email", "qcrh", run)
    assert row.about["error"] == {key: ERROR[key] for key in ("code", "message", "hint")}
    assert (row.about["failures"], row.about["run"], row.about["trigger"]) == (1, run.pk, "schedule:1")
    assert row.due_at == run.finished_at


def test_of_failures_in_a_row_the_first_and_every_n_th_are_told() -> None:
    module = ModuleFactory.create()
    change_settings(notify_every=4)
    for _ in range(9):
        ended(module)
    rows = Notification.objects.order_by("pk")
    assert [(row.kind, row.about["failures"]) for row in rows] == [("failure", 1), ("repeated", 4), ("repeated", 8)]
    first = Run.objects.order_by("pk")[0].finished_at
    assert first is not None
    assert dt.datetime.fromisoformat(rows[2].about["since"]) == first.replace(microsecond=0)


def test_the_first_success_after_failures_is_told_once() -> None:
    module = ModuleFactory.create()
    for status in ("success", "error", "refused", "success", "success", "error", "success"):
        ended(module, status)
    assert told(module) == ["failure", "recovery", "failure", "recovery"]
    recovery = Notification.objects.filter(kind=NotificationKind.RECOVERY).order_by("pk")[0]
    assert recovery.about["failures"] == 2


def test_a_refused_run_is_a_failure() -> None:
    module = ModuleFactory.create()
    ended(module, "refused")
    assert told(module) == ["failure"]
    assert Notification.objects.get().about["status"] == "refused"


@pytest.mark.parametrize(
    ("status", "fields"), [("cancelled", {"cancel_requested": True}), ("dry_run", {"dry_run": True})]
)
def test_cancels_and_dry_runs_are_not_told(status: str, fields: dict[str, Any]) -> None:
    module = ModuleFactory.create()
    ended(module, status, **fields)
    assert told(module) == []


def test_a_failed_dry_run_is_not_told_and_not_counted() -> None:
    module = ModuleFactory.create()
    change_settings(notify_every=2)
    ended(module)
    ended(module, "error", dry_run=True)
    assert told(module) == ["failure"]


def test_a_cancel_between_two_failures_does_not_make_the_second_a_first() -> None:
    module = ModuleFactory.create()
    for status in ("error", "cancelled", "error"):
        ended(module, status, cancel_requested=status == "cancelled")
    assert told(module) == ["failure"]


def test_a_run_that_was_stopped_though_nobody_cancelled_it_is_told_as_a_failure() -> None:
    module = ModuleFactory.create()
    change_settings(notify_every=2)
    for _ in range(2):
        ended(module, "cancelled")
    assert told(module) == ["failure", "repeated"]
    ended(module, "success")
    assert told(module)[-1] == "recovery"


def test_runs_by_hand_are_told_only_where_the_setting_says_so() -> None:
    module = ModuleFactory.create()
    ended(module, trigger="manual")
    assert told(module) == []
    change_settings(notify_manual_runs=True)
    ended(module, trigger="manual")
    assert told(module) == ["failure"]


@pytest.mark.parametrize("trigger", ["api", "schedule:7", "retry", "full_refresh"])
def test_runs_that_nobody_watches_are_told(trigger: str) -> None:
    module = ModuleFactory.create()
    ended(module, trigger=trigger)
    assert told(module) == ["failure"]


def test_a_group_s_runs_are_told_though_it_was_started_by_hand() -> None:
    module = ModuleFactory.create()
    ended(module, trigger="manual", group_run=GroupRunFactory.create())
    assert told(module) == ["failure"]


def test_a_failure_by_hand_does_not_hide_the_next_scheduled_one() -> None:
    module = ModuleFactory.create()
    ended(module, trigger="manual")
    ended(module)
    assert told(module) == ["failure"]
    assert Notification.objects.get().about["failures"] == 1


def test_a_success_by_hand_ends_a_row_of_failures_and_the_next_scheduled_one_tells_of_it() -> None:
    module = ModuleFactory.create()
    ended(module)
    ended(module, "success", trigger="manual")
    ended(module)
    ended(module, "success", trigger="manual")
    assert told(module) == ["failure", "failure"]
    ended(module, "success")
    assert told(module) == ["failure", "failure", "recovery"]


def test_failures_from_before_anybody_was_told_make_the_next_one_the_first() -> None:
    module = ModuleFactory.create()
    change_settings(notification_addresses=[])
    ended(module)
    assert told(module) == []
    change_settings(notification_addresses=["etl@example.com"])
    ended(module)
    assert told(module) == ["failure"]
    assert Notification.objects.get().about["failures"] == 2


def test_every_channel_has_a_row_of_its_own() -> None:
    change_settings(webhook_url="https://hooks.example.com/x")
    ended(ModuleFactory.create())
    assert sorted(Notification.objects.values_list("channel", flat=True)) == ["email", "webhook"]


def test_no_secret_is_in_what_is_told() -> None:
    redactor().add("canary-4471")
    run = running(trigger="schedule:1")
    run.finish_error({**ERROR, "message": "no login with canary-4471", "hint": "postgresql://etl:pw-118@db/x"})
    about = str(Notification.objects.get().about)
    assert "canary-4471" not in about
    assert "pw-118" not in about


def test_text_that_no_database_holds_is_told_without_what_it_cannot_hold() -> None:
    run = running(trigger="schedule:1")
    run.finish_error({**ERROR, "message": "bad\x00value \udcff here\r\nand there"})
    assert Notification.objects.get().about["error"]["message"] == "bad value here and there"


def test_what_is_told_and_the_state_are_written_together_or_not_at_all() -> None:
    run = running(trigger="schedule:1")
    with pytest.raises(DatabaseError), transaction.atomic():
        run.finish_error(ERROR)
        assert Notification.objects.count() == 1
        raise DatabaseError("the disk is full")
    assert Run.objects.get(pk=run.pk).status == Status.RUNNING
    assert not Notification.objects.exists()


KILLED = """
import os, signal
from runs.models import Run
Run.objects.get().finish_error({"code": "lost", "message": "gone", "hint": "", "detail": ""})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.django_db(transaction=True)
def test_a_process_killed_right_after_the_state_changed_has_left_what_is_to_be_told() -> None:
    run = running(trigger="schedule:1")
    program = [sys.executable, "manage.py", "shell", "--no-imports", "-c", KILLED]
    assert subprocess.run(program, cwd=BASE_DIR, capture_output=True).returncode == -9
    assert Run.objects.get().status == Status.ERROR
    assert Notification.objects.pending().get().run == run


def test_a_failure_to_write_it_down_is_logged_and_never_keeps_a_run_from_ending(
    caplog: pytest.LogCaptureFixture,
) -> None:
    change_settings(invalid={"notify_every": "often"})
    module = ModuleFactory.create()
    ended(module)
    assert ended(module).status == Status.ERROR
    assert "could not be written into the outbox" in caplog.text


def aged(hours: float, **fields: Any) -> Module:
    """Return a module that was made so many hours before NOW."""
    module = ModuleFactory.create(**fields)
    Module.objects.filter(pk=module.pk).update(created_at=NOW - dt.timedelta(hours=hours))
    return module


def succeeded(module: Module, hours: float, **fields: Any) -> Run:
    at = NOW - dt.timedelta(hours=hours)
    return RunFactory.create(module=module, status=Status.SUCCESS, finished_at=at, trigger="schedule:1", **fields)


def test_nothing_is_late_while_nobody_says_what_late_is() -> None:
    succeeded(aged(1000), 999)
    assert notify.find_late(NOW) == 0


def test_a_module_without_a_success_for_too_long_is_told_once() -> None:
    change_settings(late_after_hours=24, webhook_url="https://hooks.example.com/x")
    late, fine = aged(100), aged(100)
    succeeded(late, 25)
    succeeded(fine, 23)
    assert [notify.find_late(NOW + dt.timedelta(minutes=minute)) for minute in range(3)] == [1, 0, 0]
    assert told(late) == ["late", "late"]
    assert told(fine) == []
    about = Notification.objects.order_by("pk")[0].about
    assert (about["since"], about["hours"]) == ("2026-11-20T11:00:00+00:00", 24)


def test_a_late_module_that_succeeds_is_told_and_may_be_late_again() -> None:
    change_settings(late_after_hours=24)
    module = aged(100)
    succeeded(module, 30)
    notify.find_late(NOW)
    run = running(module=module, trigger="schedule:1")
    run.finish_success()
    assert told(module) == ["late", "recovery"]
    assert notify.find_late(timezone.now() + dt.timedelta(hours=25)) == 1
    assert told(module) == ["late", "recovery", "late"]


def test_a_module_that_only_ever_fails_is_late() -> None:
    change_settings(late_after_hours=24)
    module = aged(25)
    ended(module)
    assert notify.find_late(NOW) == 1
    assert told(module) == ["failure", "late"]


def test_disabled_modules_and_those_run_only_by_hand_are_not_late() -> None:
    change_settings(late_after_hours=24)
    succeeded(aged(100, enabled=False), 30)
    RunFactory.create(module=aged(100), status=Status.SUCCESS, finished_at=NOW - dt.timedelta(hours=50))
    assert notify.find_late(NOW) == 0


def test_who_knows_the_schedules_says_which_modules_are_expected() -> None:
    change_settings(late_after_hours=24)
    never_ran, other = aged(25), aged(100)
    succeeded(other, 30)
    assert notify.find_late(NOW, Module.objects.filter(pk=never_ran.pk)) == 1
    assert (told(never_ran), told(other)) == (["late"], [])


def test_a_success_costs_few_queries(django_assert_max_num_queries: Any) -> None:
    run = running(trigger="schedule:1")
    with django_assert_max_num_queries(10):
        run.finish_success()


def test_a_group_run_that_failed_itself_is_told_by_its_group_s_name() -> None:
    group = GroupFactory.create(name="nightly")
    change_settings(notify_every=3)
    for error in (ERROR, ERROR, ERROR, None, ERROR):
        group_run = GroupRunFactory.create(group=group, trigger="schedule:2")
        group_run.start()
        if error:
            group_run.finish_error(error)
        else:
            group_run.finish()
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
