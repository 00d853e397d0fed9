"""Thousands of schedules: after an outage runs start a few at a time, and none is forgotten; old rows are removed."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from modules.models import Group
from runs.launchers.launcher import LaunchFailed
from scheduling.models import Schedule, Slot, Tick
from scheduling.tick import housekeeping
from scheduling.tick.fire import TickReport
from scheduling.tick.tick import run_tick
from tests.factories import change_settings
from tests.integration.scheduling.simulated_time import DAY, HOUR, MINUTE, START, finish_all, play, schedule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nowhere")]


def create_schedules(count: int) -> None:
    groups = Group.objects.bulk_create(Group(name=f"g{number}") for number in range(count))
    expressions = ("* * * * *", "0 * * * *", "*/5 * * * *", "0 4 * * *", "0 0 1 * *")
    Schedule.objects.bulk_create(
        Schedule(name=f"s{number}", group=group, cron_expr=expressions[number % 5], timezone="Europe/Berlin")
        for number, group in enumerate(groups)
    )
    Schedule.objects.update(updated_at=START)


def timed_tick(now: dt.datetime) -> tuple[TickReport, float, int]:
    with CaptureQueriesContext(connection) as queries:
        # CPU time of this process, because the machine may be busy
        start = time.process_time()
        report = run_tick(now)
        return report, time.process_time() - start, len(queries)


@pytest.mark.serial
def test_after_a_day_s_outage_two_thousand_schedules_are_started_up_to_the_limit_of_each_tick() -> None:
    create_schedules(2000)
    _, seconds, queries = timed_tick(START)
    assert seconds < 5
    recovered_at = START + DAY
    report, seconds, queries = timed_tick(recovered_at)
    assert seconds < 5
    assert queries < 900
    assert len(report.started) == 20
    # the monthly ones were not due; those at 04:00 missed their slot by more than the grace time
    assert (report.waiting, len(report.missed)) == (1180, 400)
    finish_all()
    report, seconds, _ = timed_tick(recovered_at + MINUTE)
    assert (len(report.started), seconds < 5) == (20, True)
    started = Slot.objects.filter(outcome="started")
    # seven schedules of every minute are started by both ticks
    assert (started.count(), started.values("schedule").distinct().count()) == (40, 33)


def test_after_an_outage_each_schedule_is_started_once_within_a_few_ticks() -> None:
    for _ in range(7):
        schedule("0 * * * *")
    change_settings(runs_per_tick=3)
    run_tick(START)
    fired = play(START + DAY - 10 * MINUTE, 5 * MINUTE)
    assert [fired.count(timestamp) for timestamp in sorted(set(fired))] == [3, 3, 1]
    assert Counter(Slot.objects.values_list("schedule", flat=True)).most_common(1)[0][1] == 1


def test_a_slot_that_is_due_now_is_started_before_one_that_is_caught_up() -> None:
    late = schedule("0 4 * * *")
    change_settings(runs_per_tick=1)
    run_tick(START)
    now = schedule("30 5 * * *")
    assert run_tick(START + 91 * MINUTE).started == [f"schedule {now}"]
    assert run_tick(START + 92 * MINUTE).started == [f"schedule {late}"]


def test_a_slot_left_to_a_later_tick_is_not_missed_even_without_catch_up() -> None:
    for _ in range(5):
        schedule("0 4 * * *", catch_up="none")
    change_settings(runs_per_tick=1)
    run_tick(START)
    assert len(play(START + MINUTE, 8 * MINUTE)) == 5


def test_old_slots_are_removed_and_recent_ones_are_kept() -> None:
    row = schedule()
    for days in (200, 5):
        due_at = START - days * DAY
        Slot.objects.create(schedule=row, slot_key=f"{days}", due_at=due_at, claimed_at=due_at)
    Tick.objects.create(pk=1, at=START, finished_at=START, unbroken_since=START - 2 * DAY)
    run_tick(START + MINUTE)
    assert list(Slot.objects.filter(schedule=row).values_list("slot_key", flat=True)) == ["2027-01-11T04:00", "5"]


def test_prune_is_started_once_a_day_and_not_when_the_clock_has_just_jumped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[list[str]] = []

    class RecordingLauncher:
        def launch(self, words: list[str], *, log: object) -> None:
            started.append(words)

    monkeypatch.setattr(housekeeping, "configured_launcher", RecordingLauncher)

    def prunes(now: dt.datetime, unbroken: dt.timedelta) -> bool:
        fields = {"at": now, "finished_at": now, "unbroken_since": now - unbroken}
        Tick.objects.update_or_create(pk=1, defaults=fields)
        return housekeeping.prune_daily(now)

    # START is 03:59 in Berlin, after the hour from which on it may run
    assert not prunes(START, 50 * MINUTE)
    assert prunes(START, 2 * HOUR)
    assert not prunes(START + 10 * HOUR, 12 * HOUR)
    # the clock is years ahead for half an hour
    assert not prunes(START + 1000 * DAY, HOUR / 2)
    assert not prunes(START + DAY - 2 * HOUR, DAY), "01:59 is too early"
    assert prunes(START + DAY, DAY)
    assert started == [["prune"]] * 2


def test_a_prune_that_cannot_be_launched_is_tried_again_by_the_next_tick(settings: Settings) -> None:
    yesterday = START.date() - DAY
    Tick.objects.create(pk=1, at=START, finished_at=START, unbroken_since=START - DAY, pruned_on=yesterday)
    settings.RUN_LAUNCHER = "tests.processes.launchers.FailingLauncher"
    with pytest.raises(LaunchFailed):
        housekeeping.prune_daily(START)
    assert Tick.objects.get().pruned_on == yesterday
    settings.RUN_LAUNCHER = "tests.processes.launchers.NullLauncher"
    assert housekeeping.prune_daily(START + MINUTE)
    assert not housekeeping.prune_daily(START + 2 * MINUTE)
