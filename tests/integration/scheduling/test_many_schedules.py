"""Thousands of schedules: no herd after an outage, and none is forgotten."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from modules.models import Group
from runs.models import Setting
from scheduling.models import Schedule, Slot, Tick
from scheduling.tick import housekeeping, tick
from scheduling.tick.fire import TickReport
from tests.integration.scheduling.simulated_time import DAY, HOUR, MINUTE, START, finish_all, play, schedule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nowhere")]


def many(count: int) -> None:
    groups = Group.objects.bulk_create(Group(name=f"g{number}") for number in range(count))
    expressions = ("* * * * *", "0 * * * *", "*/5 * * * *", "0 4 * * *", "0 0 1 * *")
    Schedule.objects.bulk_create(
        Schedule(name=f"s{number}", group=group, cron_expr=expressions[number % 5], timezone="Europe/Berlin")
        for number, group in enumerate(groups)
    )
    Schedule.objects.update(updated_at=START)


def timed_tick(now: dt.datetime) -> tuple[TickReport, float, int]:
    with CaptureQueriesContext(connection) as queries:
        # of this process's own, as the machine may be busy
        began = time.process_time()
        report = tick.tick(now)
        return report, time.process_time() - began, len(queries)


@pytest.mark.serial
def test_two_thousand_schedules_after_a_day_s_outage_come_back_without_a_herd() -> None:
    many(2000)
    _, seconds, queries = timed_tick(START)
    assert seconds < 5
    back = START + DAY
    report, seconds, queries = timed_tick(back)
    assert seconds < 5
    assert queries < 900
    assert len(report.started) == 20
    # monthly ones owe nothing; those at four were missed by far
    assert (report.waiting, len(report.missed)) == (1180, 400)
    finish_all()
    report, seconds, _ = timed_tick(back + MINUTE)
    assert (len(report.started), seconds < 5) == (20, True)
    assert Slot.objects.filter(outcome="started").values("schedule").distinct().count() >= 20


def test_each_gets_one_run_for_the_outage_before_long() -> None:
    for _ in range(7):
        schedule("0 * * * *")
    Setting.objects.create(key="runs_per_tick", value=3)
    tick.tick(START)
    fired = play(START + DAY - 10 * MINUTE, 5 * MINUTE)
    assert [fired.count(moment) for moment in sorted(set(fired))] == [3, 3, 1]
    assert Counter(Slot.objects.values_list("schedule", flat=True)).most_common(1)[0][1] == 1


def test_what_is_due_now_goes_before_what_is_made_up_for() -> None:
    late = schedule("0 4 * * *")
    Setting.objects.create(key="runs_per_tick", value=1)
    tick.tick(START)
    now = schedule("30 5 * * *")
    assert tick.tick(START + 91 * MINUTE).started == [f"schedule {now}"]
    assert tick.tick(START + 92 * MINUTE).started == [f"schedule {late}"]


def test_a_slot_left_to_a_later_tick_is_not_missed_even_by_one_that_skips() -> None:
    for _ in range(5):
        schedule("0 4 * * *", catch_up="none")
    Setting.objects.create(key="runs_per_tick", value=1)
    tick.tick(START)
    assert len(play(START + MINUTE, 8 * MINUTE)) == 5


def test_old_slots_go_and_recent_ones_stay() -> None:
    row = schedule()
    for days in (200, 5):
        slots_at = START - days * DAY
        Slot.objects.create(schedule=row, slot_key=f"{days}", due_at=slots_at, claimed_at=slots_at)
    Tick.objects.create(pk=1, at=START, finished_at=START, unbroken_since=START - 2 * DAY)
    tick.tick(START + MINUTE)
    assert list(Slot.objects.filter(schedule=row).values_list("slot_key", flat=True)) == ["2027-01-11T04:00", "5"]


def test_old_rows_are_removed_once_a_day_and_never_by_a_clock_that_has_just_jumped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[list[str]] = []

    class Noting:
        def launch(self, words: list[str], *, log: object) -> None:
            started.append(words)

    monkeypatch.setattr(housekeeping, "launcher", Noting)

    def pruned(now: dt.datetime, steady: dt.timedelta) -> bool:
        told = {"at": now, "finished_at": now, "unbroken_since": now - steady}
        Tick.objects.update_or_create(pk=1, defaults=told)
        return housekeeping.prune_daily(now)

    # it is four in the morning
    assert not pruned(START, 50 * MINUTE)
    assert pruned(START, 2 * HOUR)
    assert not pruned(START + 10 * HOUR, 12 * HOUR)
    # the clock is years ahead for half an hour
    assert not pruned(START + 1000 * DAY, HOUR / 2)
    assert not pruned(START + DAY - 2 * HOUR, DAY), "it is two in the morning"
    assert pruned(START + DAY, DAY)
    assert started == [["prune"]] * 2
