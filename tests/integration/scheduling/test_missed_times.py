"""Times missed during an outage: one run catches up or none does, and times that are not caught up are reported."""

from __future__ import annotations

import datetime as dt

import pytest
from pytest_django import Settings

from modules.models import Module
from runs.models import GroupRun
from runs.models.notification import Notification
from scheduling.models import Schedule, Slot
from scheduling.tick import housekeeping
from scheduling.tick.tick import run_tick
from tests.factories import GroupMemberFactory, ModuleFactory, change_settings
from tests.integration.scheduling.simulated_time import (
    DAY,
    HOUR,
    MINUTE,
    START,
    edit,
    finish_all,
    listened,
    play,
    schedule,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nowhere")]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(("catch_up", "fired"), [("last", 1), ("none", 0)])
def test_missed_slots_are_caught_up_by_one_run_or_none(catch_up: str, fired: int) -> None:
    schedule("0 * * * *", catch_up=catch_up)
    run_tick(START)
    recovered_at = START + DAY - 10 * MINUTE
    assert len(play(recovered_at, 5 * MINUTE)) == fired
    slot = Slot.objects.get()
    assert slot.outcome == ("started" if fired else "missed")
    assert (slot.slot_key, slot.missed_before) == ("2027-01-12T02:00Z", 23)


def test_a_slot_older_than_the_grace_time_is_recorded_as_missed() -> None:
    schedule("0 4 * * *")
    run_tick(START)
    report = run_tick(START + 7 * HOUR)
    assert (report.started, len(report.missed)) == ([], 1)
    assert (Slot.objects.get().outcome, Slot.objects.get().slot_key) == ("missed", "2027-01-11T04:00")
    assert not GroupRun.objects.exists()


@pytest.mark.default_cases(3)
@pytest.mark.parametrize(
    ("catch_up", "outage", "fired", "lost"),
    [
        ("last", 10 * MINUTE, 1, 0),
        ("last", 7 * HOUR, 1, 5),
        ("last", 72 * HOUR, 1, 100),
        ("none", 10 * MINUTE, 0, 1),
        ("none", 7 * HOUR, 0, 29),
        ("none", 72 * HOUR, 0, 100),
    ],
)
def test_times_that_are_not_caught_up_are_reported_once(
    catch_up: str, outage: dt.timedelta, fired: int, lost: int
) -> None:
    listened()
    row = schedule("*/15 * * * *", catch_up=catch_up)
    run_tick(START)
    recovered_at = START + outage + 5 * MINUTE / 2
    report = run_tick(recovered_at)
    assert len(report.started) == fired
    finish_all()
    run_tick(recovered_at + MINUTE)
    notifications = Notification.objects.all()
    assert [notification.about["missed"] for notification in notifications] == ([lost] if lost else [])
    for notification in notifications:
        about = notification.about
        assert (notification.kind, about["schedule"], about["group"]) == ("missed", f"schedule {row}", str(row.group))
        assert about["error"]["message"] == "The scheduler was not running when it was due."


@pytest.mark.matrix
def test_a_schedule_that_misses_times_all_day_is_reported_once_a_day() -> None:
    listened()
    schedule("* * * * *", catch_up="none")
    play(START, 12 * HOUR, 5 * MINUTE)
    assert Notification.objects.count() == 1
    play(START + 22 * HOUR, HOUR, 5 * MINUTE)
    assert Notification.objects.count() == 2


def test_a_schedule_with_an_unknown_time_zone_is_reported_once(settings: Settings) -> None:
    listened()
    settings.RUN_LAUNCHER = "tests.processes.launchers.FailingLauncher"
    row = schedule()
    Schedule.objects.filter(pk=row.pk).update(timezone="Mars/Olympus")
    play(START, 3 * MINUTE)
    notification = Notification.objects.get()
    assert notification.about["schedule"] == f"schedule {row}"
    assert "Mars/Olympus" in notification.about["error"]["message"]


def test_the_grace_time_is_a_setting() -> None:
    schedule("0 4 * * *")
    change_settings(misfire_grace_hours=8)
    run_tick(START)
    assert len(run_tick(START + 7 * HOUR).started) == 1


def test_a_new_schedule_does_not_fire_for_times_before_its_creation() -> None:
    run_tick(START)
    schedule("*/5 * * * *")
    edit(Schedule.objects.get(), START + 20 * MINUTE + MINUTE / 2)
    assert run_tick(START + 21 * MINUTE + MINUTE / 4).started == []
    assert len(play(START + 22 * MINUTE, 5 * MINUTE)) == 1


@pytest.mark.matrix
def test_a_schedule_does_not_fire_for_times_at_which_it_was_disabled() -> None:
    row = schedule("0 * * * *")
    play(START, 2 * MINUTE)
    Schedule.objects.update(enabled=False)
    play(START + 3 * MINUTE, 3 * HOUR, 10 * MINUTE)
    assert Slot.objects.count() == 1
    Schedule.objects.update(enabled=True)
    assert play(START + 3 * HOUR + 20 * MINUTE, 30 * MINUTE) == []
    assert Slot.objects.count() == 1
    assert len(play(START + 4 * HOUR, 2 * MINUTE)) == 1
    assert row.slots.count() == 2


@pytest.mark.matrix
def test_a_schedule_created_disabled_does_not_fire_for_the_past_once_it_is_enabled() -> None:
    schedule("0 * * * *", enabled=False)
    play(START, 3 * HOUR, 10 * MINUTE)
    Schedule.objects.update(enabled=True)
    assert play(START + 3 * HOUR + 20 * MINUTE, 20 * MINUTE) == []


@pytest.mark.matrix
def test_a_changed_expression_does_not_fire_for_times_before_the_change() -> None:
    row = schedule("0 4 * * *")
    play(START, 30 * MINUTE)
    edit(row, START + 31 * MINUTE, cron_expr="15 4 * * *")
    assert play(START + 32 * MINUTE, HOUR) == []


def test_a_scheduled_module_that_never_ran_is_late_unless_its_schedule_is_new() -> None:
    listened()
    change_settings(late_after_hours=24)
    names = ("never", "grouped", "fresh", "unscheduled")
    never, grouped, fresh, unscheduled = (ModuleFactory.create(name=name) for name in names)
    Module.objects.update(created_at=START - 100 * DAY)
    schedule(group=None, module=never)
    schedule(group=GroupMemberFactory.create(module=grouped).group)
    Schedule.objects.update(created_at=START - 2 * DAY)
    Schedule.objects.filter(pk=schedule(group=None, module=fresh).pk).update(created_at=START - HOUR)
    for minute in range(3):
        housekeeping.find_late(START + minute * MINUTE)
    notifications = Notification.objects.order_by("module_name")
    assert [(row.kind, row.module) for row in notifications] == [("late", grouped), ("late", never)]
    assert not Notification.objects.filter(module=unscheduled).exists()
