"""The tick: which schedules it starts, which it skips, and that it starts no slot twice."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from modules.models import Module
from runs.models import GroupRun, Run
from scheduling.models import Schedule, Slot, Tick
from scheduling.tick import slots, timers
from scheduling.tick.due import TickTimes, due_slot
from scheduling.tick.tick import run_tick
from tests.factories import ModuleFactory
from tests.integration.scheduling.simulated_time import DAY, HOUR, MINUTE, START, edit, finish_all, play, schedule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nowhere")]


def test_a_group_is_started_once_and_its_run_names_the_schedule_as_trigger() -> None:
    row = schedule()
    assert play(START, 5 * MINUTE) == [START + MINUTE]
    group_run = GroupRun.objects.get()
    assert (group_run.group, group_run.trigger) == (row.group, f"schedule:{row.pk}")
    slot = Slot.objects.get()
    assert (slot.slot_key, slot.outcome, slot.run_id) == ("2027-01-11T04:00", "started", group_run.pk)
    row.refresh_from_db()
    assert row.last_fired_at == START + MINUTE


def test_a_module_is_started_with_a_run_of_its_own() -> None:
    module = ModuleFactory.create()
    row = schedule(group=None, module=module)
    play(START, 2 * MINUTE)
    run = Run.objects.get()
    assert (run.module, run.trigger, run.full_refresh) == (module, f"schedule:{row.pk}", False)


def test_the_full_refresh_cron_of_a_module_fires_in_the_server_s_time_zone() -> None:
    module = ModuleFactory.create(full_refresh_cron="0 4 * * *")
    Module.objects.update(updated_at=START - MINUTE)
    assert play(START, 2 * MINUTE) == [START + MINUTE]
    run = Run.objects.get()
    assert (run.module, run.trigger, run.full_refresh, run.strategy) == (module, "full_refresh", True, "full")
    assert Slot.objects.get().module == module


@pytest.mark.matrix
@pytest.mark.matrix
def test_several_ticks_in_one_minute_start_a_slot_once() -> None:
    schedule()
    for _ in range(3):
        run_tick(START + MINUTE)
    finish_all()
    run_tick(START + MINUTE)
    assert GroupRun.objects.count() == Slot.objects.count() == 1


@pytest.mark.matrix
def test_a_clock_that_is_set_back_starts_no_slot_twice() -> None:
    schedule("*/10 * * * *")
    assert len(play(START, HOUR)) == 6
    # only the slot at 05:00 has not fired before
    assert play(START + 10 * MINUTE, HOUR) == [START + 61 * MINUTE]
    assert not [key for key, count in Counter(Slot.objects.values_list("slot_key", flat=True)).items() if count > 1]


@pytest.mark.matrix
def test_schedules_fire_again_after_a_clock_that_was_years_ahead_is_corrected() -> None:
    schedule("*/10 * * * *")
    play(START, 10 * MINUTE)
    run_tick(START + 2000 * DAY)
    finish_all()
    assert len(play(START + 11 * MINUTE, HOUR)) == 7


def test_a_slot_is_skipped_while_the_previous_run_is_active() -> None:
    schedule("* * * * *")
    run_tick(START)
    assert [len(run_tick(START + number * MINUTE).started) for number in (1, 2, 3)] == [1, 0, 0]
    finish_all()
    assert len(run_tick(START + 4 * MINUTE).started) == 1
    assert GroupRun.objects.count() == 2
    skipped = Slot.objects.filter(outcome="skipped")
    assert skipped.count() == 2
    assert "cannot start: its run" in skipped[0].message


def test_a_disabled_module_is_skipped() -> None:
    schedule(group=None, module=ModuleFactory.create(enabled=False))
    play(START, 2 * MINUTE)
    assert (Slot.objects.get().outcome, Run.objects.count()) == ("skipped", 0)


def test_an_invalid_schedule_shows_its_problem_until_it_is_fixed_and_stops_no_other() -> None:
    bad, good = schedule(), schedule()
    Schedule.objects.filter(pk=bad.pk).update(timezone="Mars/Olympus")
    report = run_tick(START + MINUTE)
    assert len(report.started) == 1
    assert good.slots.count() == 1
    bad.refresh_from_db()
    assert "Mars/Olympus" in bad.problem
    edit(bad, START + 2 * MINUTE, timezone="Europe/Berlin")
    finish_all()
    assert len(play(START + 3 * MINUTE + DAY, MINUTE)) == 2
    assert Schedule.objects.get(pk=bad.pk).problem == ""


def test_a_run_that_cannot_be_started_stops_no_other_schedule(settings: Settings) -> None:
    settings.RUN_LAUNCHER = "tests.processes.launchers.FailingLauncher"
    rows = [schedule(), schedule()]
    report = run_tick(START + MINUTE)
    assert len(report.failed) == 2
    assert Slot.objects.filter(outcome="failed").count() == 2
    assert "process cannot be started" in Schedule.objects.get(pk=rows[0].pk).problem


def test_a_failing_reaper_stops_no_schedule_and_its_error_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**options: object) -> int:
        raise RuntimeError("no")

    schedule()
    monkeypatch.setattr("runs.lifecycle.reap.reap_all", fail)
    assert len(run_tick(START + MINUTE).started) == 1
    assert Tick.objects.get().error == "RuntimeError: no"


def test_a_tick_records_its_times_and_since_when_ticks_have_been_regular() -> None:
    before = dt.datetime.now(dt.UTC)
    run_tick(START)
    run_tick(START + MINUTE)
    last = Tick.objects.get()
    assert (last.at, last.unbroken_since) == (START + MINUTE, START)
    assert last.finished_at >= before


@pytest.mark.matrix
def test_a_fixed_time_fires_once_on_the_days_of_both_clock_changes() -> None:
    schedule("30 2 * * *")
    spring = dt.datetime(2027, 3, 28, 0, 0, tzinfo=dt.UTC)
    autumn = dt.datetime(2027, 10, 31, 0, 0, tzinfo=dt.UTC)
    edit(Schedule.objects.get(), spring - MINUTE)
    assert play(spring, 3 * HOUR, 10 * MINUTE) == [spring + HOUR]
    assert Slot.objects.get().slot_key == "2027-03-28T02:30"
    run_tick(autumn - 12 * HOUR)
    assert play(autumn, 3 * HOUR, 10 * MINUTE) == [autumn + HOUR / 2]
    assert Slot.objects.latest("due_at").slot_key == "2027-10-31T02:30"


@pytest.mark.django_db(transaction=True)
def test_a_schedule_deleted_between_evaluation_and_reservation_starts_nothing() -> None:
    row = schedule()
    (timer,) = timers.enabled()
    now = START + MINUTE
    due = due_slot(timer, TickTimes(now=now, unbroken_since=START, grace=HOUR))
    assert due is not None
    row.delete()
    assert slots.reserve(timer, due, now) is None
    assert not Slot.objects.exists()


def test_stored_expressions_with_a_backward_range_are_reported_and_stop_no_other_schedule(admin_client: Client) -> None:
    schedule()
    weekend = schedule("0 4 * * sat-mon", name="weekend")
    module = ModuleFactory.create(name="orders", full_refresh_cron="0 4 * * fri-tue")
    report = run_tick(START + MINUTE)
    assert len(report.started) == 1
    assert report.failed.keys() == {"schedule weekend", "full refresh of orders"}
    lines = "\n".join(report.problems())
    assert "Write sat,sun,mon instead." in lines
    assert "Write fri,sat,sun,mon,tue instead." in lines
    for row in (weekend, module):
        page = admin_client.get(reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[row.pk]))
        assert "runs backwards" in page.content.decode()
