"""After an outage: one run for what was missed or none, and what no run makes up for is told."""

from __future__ import annotations

import datetime as dt

import pytest
from pytest_django import Settings

from modules.models import Module
from runs.models import GroupRun, Setting
from runs.models.notification import Notification
from scheduling.models import Schedule, Slot
from scheduling.tick import housekeeping, tick
from tests.factories import GroupMemberFactory, ModuleFactory
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


@pytest.mark.parametrize(("catch_up", "fired"), [("last", 1), ("none", 0)])
def test_after_an_outage_many_missed_slots_are_one_run_or_none(catch_up: str, fired: int) -> None:
    schedule("0 * * * *", catch_up=catch_up)
    tick.tick(START)
    back = START + DAY - 10 * MINUTE
    assert len(play(back, 5 * MINUTE)) == fired
    slot = Slot.objects.get()
    assert slot.outcome == ("started" if fired else "missed")
    assert (slot.slot_key, slot.missed_before) == ("2027-01-12T02:00Z", 23)


def test_a_slot_older_than_the_grace_is_missed_and_recorded() -> None:
    schedule("0 4 * * *")
    tick.tick(START)
    report = tick.tick(START + 7 * HOUR)
    assert (report.started, len(report.missed)) == ([], 1)
    assert (Slot.objects.get().outcome, Slot.objects.get().slot_key) == ("missed", "2027-01-11T04:00")
    assert not GroupRun.objects.exists()


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
def test_what_no_run_makes_up_for_is_told_once(catch_up: str, outage: dt.timedelta, fired: int, lost: int) -> None:
    listened()
    row = schedule("*/15 * * * *", catch_up=catch_up)
    tick.tick(START)
    back = START + outage + 5 * MINUTE / 2
    report = tick.tick(back)
    assert len(report.started) == fired
    finish_all()
    tick.tick(back + MINUTE)
    rows = Notification.objects.all()
    assert [told.about["missed"] for told in rows] == ([lost] if lost else [])
    for told in rows:
        assert (told.kind, told.about["schedule"], told.about["group"]) == ("missed", f"schedule {row}", str(row.group))
        assert told.about["error"]["message"] == "The scheduler was not running when it was due."


@pytest.mark.matrix
def test_a_schedule_that_misses_all_day_is_told_once_a_day() -> None:
    listened()
    schedule("* * * * *", catch_up="none")
    play(START, 12 * HOUR, 5 * MINUTE)
    assert Notification.objects.count() == 1
    play(START + 22 * HOUR, HOUR, 5 * MINUTE)
    assert Notification.objects.count() == 2


def test_a_schedule_that_cannot_fire_or_start_is_told_once_a_day(settings: Settings) -> None:
    listened()
    settings.RUN_LAUNCHER = "tests.processes.launchers.Broken"
    lost = schedule()
    Schedule.objects.filter(pk=lost.pk).update(timezone="Mars/Olympus")
    play(START, 3 * MINUTE)
    told = Notification.objects.get()
    assert told.about["schedule"] == f"schedule {lost}"
    assert "Mars/Olympus" in told.about["error"]["message"]


def test_the_grace_is_a_setting() -> None:
    schedule("0 4 * * *")
    Setting.objects.create(key="misfire_grace_hours", value=8)
    tick.tick(START)
    assert len(tick.tick(START + 7 * HOUR).started) == 1


def test_a_new_schedule_never_fires_for_the_past() -> None:
    tick.tick(START)
    schedule("*/5 * * * *")
    edit(Schedule.objects.get(), START + 20 * MINUTE + MINUTE / 2)
    assert tick.tick(START + 21 * MINUTE + MINUTE / 4).started == []
    assert len(play(START + 22 * MINUTE, 5 * MINUTE)) == 1


def test_a_schedule_that_was_off_never_fires_for_the_time_it_was_off() -> None:
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


def test_one_that_was_made_switched_off_does_not_fire_for_the_past_when_it_is_switched_on() -> None:
    schedule("0 * * * *", enabled=False)
    play(START, 3 * HOUR, 10 * MINUTE)
    Schedule.objects.update(enabled=True)
    assert play(START + 3 * HOUR + 20 * MINUTE, 20 * MINUTE) == []


def test_another_expression_does_not_fire_for_its_past() -> None:
    row = schedule("0 4 * * *")
    play(START, 30 * MINUTE)
    edit(row, START + 31 * MINUTE, cron_expr="15 4 * * *")
    assert play(START + 32 * MINUTE, HOUR) == []


def test_a_scheduled_module_that_never_ran_is_late_and_a_fresh_schedule_is_not() -> None:
    listened()
    Setting.objects.create(key="late_after_hours", value=24)
    never, grouped, fresh, idle = (ModuleFactory.create(name=name) for name in ("never", "grouped", "fresh", "idle"))
    Module.objects.update(created_at=START - 100 * DAY)
    schedule(group=None, module=never)
    schedule(group=GroupMemberFactory.create(module=grouped).group)
    Schedule.objects.update(created_at=START - 2 * DAY)
    Schedule.objects.filter(pk=schedule(group=None, module=fresh).pk).update(created_at=START - HOUR)
    for minute in range(3):
        housekeeping.find_late(START + minute * MINUTE)
    told = Notification.objects.order_by("module_name")
    assert [(row.kind, row.module) for row in told] == [("late", grouped), ("late", never)]
    assert not Notification.objects.filter(module=idle).exists()
