"""The tick, with rows before and after: what fires, what is missed, and that nothing fires twice."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from modules.models import Group, Module
from runs.models import GroupRun, Run, Setting
from scheduling import cadences, slots, ticking
from scheduling.due import Clock, owed
from scheduling.models import Outcome, Schedule, Slot, Tick
from tests.factories import ModuleFactory, ScheduleFactory

pytestmark = pytest.mark.django_db
START = dt.datetime(2027, 1, 11, 2, 59, 30, tzinfo=dt.UTC)
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def nowhere(settings: Settings) -> None:
    settings.RUN_LAUNCHER = "tests.scheduling.launchers.Nowhere"


def schedule(cron_expr: str = "0 4 * * *", **fields: object) -> Schedule:
    """One that was made just when the play begins."""
    made: Schedule = ScheduleFactory.create(cron_expr=cron_expr, **fields)
    Schedule.objects.filter(pk=made.pk).update(updated_at=START)
    return made


def finish_all() -> None:
    Run.objects.active().update(status="success")
    GroupRun.objects.active().update(status="success")


def play(start: dt.datetime, length: dt.timedelta, step: dt.timedelta = MINUTE) -> list[dt.datetime]:
    """Tick all the time, runs taking no time; return when anything was started."""
    fired = []
    now = start
    while now <= start + length:
        fired += [now] * len(ticking.tick(now).started)
        finish_all()
        now += step
    return fired


def edit(row: Schedule, at: dt.datetime, **fields: object) -> None:
    Schedule.objects.filter(pk=row.pk).update(updated_at=at, **fields)


def test_a_group_is_started_once_in_its_minute_and_the_schedule_named_as_trigger() -> None:
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


def test_a_full_refresh_has_its_own_cadence_in_the_server_s_zone() -> None:
    module = ModuleFactory.create(full_refresh_cron="0 4 * * *")
    Module.objects.update(updated_at=START - MINUTE)
    assert play(START, 2 * MINUTE) == [START + MINUTE]
    run = Run.objects.get()
    assert (run.module, run.trigger, run.full_refresh, run.strategy) == (module, "full_refresh", True, "full")
    assert Slot.objects.get().module == module


def test_two_ticks_in_one_minute_start_once() -> None:
    schedule()
    for _ in range(3):
        ticking.tick(START + MINUTE)
    finish_all()
    ticking.tick(START + MINUTE)
    assert GroupRun.objects.count() == Slot.objects.count() == 1


def test_a_slot_that_somebody_else_claimed_is_left_to_them() -> None:
    row = schedule()
    taken = Slot.objects.create(
        schedule=row, slot_key="2027-01-11T04:00", due_at=START, claimed_at=START, outcome=Outcome.CLAIMED
    )
    report = ticking.tick(START + MINUTE)
    assert report.started == []
    assert not GroupRun.objects.exists()
    taken.refresh_from_db()
    assert taken.outcome == "claimed"
    assert play(START + 2 * MINUTE, 2 * MINUTE) == []


def test_a_tick_that_dies_while_starting_starts_it_no_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    row = schedule()

    class Killed(BaseException):
        pass

    def killed(cadence: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(ticking, "_started", killed)
        ticking.tick(START + MINUTE)
    row.refresh_from_db()
    assert row.last_fired_at == START + MINUTE
    assert play(START + MINUTE, 5 * MINUTE) == []
    assert Slot.objects.get().outcome == "claimed"


def test_a_clock_set_back_fires_nothing_twice_and_goes_on() -> None:
    schedule("*/10 * * * *")
    first = play(START, HOUR)
    assert len(first) == 6
    # everything before four has fired
    assert play(START + 10 * MINUTE, HOUR) == [START + 61 * MINUTE]
    assert not [key for key, count in Counter(Slot.objects.values_list("slot_key", flat=True)).items() if count > 1]


def test_a_clock_that_was_years_ahead_stops_nothing_once_it_is_right_again() -> None:
    schedule("*/10 * * * *")
    play(START, 10 * MINUTE)
    ticking.tick(START + 2000 * DAY)
    finish_all()
    assert len(play(START + 11 * MINUTE, HOUR)) == 7


@pytest.mark.parametrize(("catch_up", "fired"), [("last", 1), ("none", 0)])
def test_after_an_outage_many_missed_slots_are_one_run_or_none(catch_up: str, fired: int) -> None:
    schedule("0 * * * *", catch_up=catch_up)
    ticking.tick(START)
    back = START + DAY - 10 * MINUTE
    assert len(play(back, 5 * MINUTE)) == fired
    slot = Slot.objects.get()
    assert slot.outcome == ("started" if fired else "missed")
    assert (slot.slot_key, slot.missed_before) == ("2027-01-12T02:00Z", 23)


def test_a_slot_older_than_the_grace_is_missed_and_recorded() -> None:
    schedule("0 4 * * *")
    ticking.tick(START)
    report = ticking.tick(START + 7 * HOUR)
    assert (report.started, len(report.missed)) == ([], 1)
    assert (Slot.objects.get().outcome, Slot.objects.get().slot_key) == ("missed", "2027-01-11T04:00")
    assert not GroupRun.objects.exists()


def test_the_grace_is_a_setting() -> None:
    schedule("0 4 * * *")
    Setting.objects.create(key="misfire_grace_hours", value=8)
    ticking.tick(START)
    assert len(ticking.tick(START + 7 * HOUR).started) == 1


def test_a_new_schedule_never_fires_for_the_past() -> None:
    ticking.tick(START)
    schedule("*/5 * * * *")
    edit(Schedule.objects.get(), START + 20 * MINUTE + MINUTE / 2)
    assert ticking.tick(START + 21 * MINUTE + MINUTE / 4).started == []
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


def test_what_still_runs_is_skipped_and_never_queued() -> None:
    schedule("* * * * *")
    ticking.tick(START)
    assert [len(ticking.tick(START + number * MINUTE).started) for number in (1, 2, 3)] == [1, 0, 0]
    finish_all()
    assert len(ticking.tick(START + 4 * MINUTE).started) == 1
    assert GroupRun.objects.count() == 2
    skipped = Slot.objects.filter(outcome="skipped")
    assert skipped.count() == 2
    assert "cannot start: its run" in skipped[0].message


def test_a_disabled_module_is_skipped() -> None:
    schedule(group=None, module=ModuleFactory.create(enabled=False))
    play(START, 2 * MINUTE)
    assert (Slot.objects.get().outcome, Run.objects.count()) == ("skipped", 0)


def test_one_bad_schedule_stops_no_other_and_says_why_until_it_is_mended() -> None:
    bad, good = schedule(), schedule()
    Schedule.objects.filter(pk=bad.pk).update(timezone="Mars/Olympus")
    report = ticking.tick(START + MINUTE)
    assert len(report.started) == 1
    assert good.slots.count() == 1
    bad.refresh_from_db()
    assert "Mars/Olympus" in bad.problem
    edit(bad, START + 2 * MINUTE, timezone="Europe/Berlin")
    finish_all()
    assert len(play(START + 3 * MINUTE + DAY, MINUTE)) == 2
    assert Schedule.objects.get(pk=bad.pk).problem == ""


def test_one_that_cannot_be_started_stops_no_other(settings: Settings) -> None:
    settings.RUN_LAUNCHER = "tests.scheduling.launchers.Broken"
    rows = [schedule(), schedule()]
    report = ticking.tick(START + MINUTE)
    assert len(report.failed) == 2
    assert Slot.objects.filter(outcome="failed").count() == 2
    assert "no process" in Schedule.objects.get(pk=rows[0].pk).problem


def test_a_broken_reaper_stops_no_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> int:
        raise RuntimeError("no")

    schedule()
    monkeypatch.setattr("runs.reaping.reap_all", broken)
    assert len(ticking.tick(START + MINUTE).started) == 1
    assert Tick.objects.get().error == "RuntimeError: no"


def test_a_tick_records_itself() -> None:
    before = dt.datetime.now(dt.UTC)
    ticking.tick(START)
    ticking.tick(START + MINUTE)
    last = Tick.objects.get()
    assert (last.at, last.unbroken_since) == (START + MINUTE, START)
    assert last.finished_at >= before


def test_fixed_times_fire_once_over_both_clock_changes() -> None:
    schedule("30 2 * * *")
    spring = dt.datetime(2027, 3, 28, 0, 0, tzinfo=dt.UTC)
    autumn = dt.datetime(2027, 10, 31, 0, 0, tzinfo=dt.UTC)
    edit(Schedule.objects.get(), spring - MINUTE)
    assert play(spring, 3 * HOUR, 10 * MINUTE) == [spring + HOUR]
    assert Slot.objects.get().slot_key == "2027-03-28T02:30"
    ticking.tick(autumn - 12 * HOUR)
    assert play(autumn, 3 * HOUR, 10 * MINUTE) == [autumn + HOUR / 2]
    assert Slot.objects.latest("due_at").slot_key == "2027-10-31T02:30"


def many(count: int) -> None:
    groups = Group.objects.bulk_create(Group(name=f"g{number}") for number in range(count))
    expressions = ("* * * * *", "0 * * * *", "*/5 * * * *", "0 4 * * *", "0 0 1 * *")
    Schedule.objects.bulk_create(
        Schedule(name=f"s{number}", group=group, cron_expr=expressions[number % 5], timezone="Europe/Berlin")
        for number, group in enumerate(groups)
    )
    Schedule.objects.update(updated_at=START)


def timed_tick(now: dt.datetime) -> tuple[ticking.TickReport, float, int]:
    with CaptureQueriesContext(connection) as queries:
        began = time.monotonic()
        report = ticking.tick(now)
        return report, time.monotonic() - began, len(queries)


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
    ticking.tick(START)
    fired = play(START + DAY - 10 * MINUTE, 5 * MINUTE)
    assert [fired.count(moment) for moment in sorted(set(fired))] == [3, 3, 1]
    assert Counter(Slot.objects.values_list("schedule", flat=True)).most_common(1)[0][1] == 1


def test_what_is_due_now_goes_before_what_is_made_up_for() -> None:
    late = schedule("0 4 * * *")
    Setting.objects.create(key="runs_per_tick", value=1)
    ticking.tick(START)
    now = schedule("30 5 * * *")
    assert ticking.tick(START + 91 * MINUTE).started == [f"schedule {now}"]
    assert ticking.tick(START + 92 * MINUTE).started == [f"schedule {late}"]


def test_a_slot_left_to_a_later_tick_is_not_missed_even_by_one_that_skips() -> None:
    for _ in range(5):
        schedule("0 4 * * *", catch_up="none")
    Setting.objects.create(key="runs_per_tick", value=1)
    ticking.tick(START)
    assert len(play(START + MINUTE, 8 * MINUTE)) == 5


def test_old_slots_go_and_recent_ones_stay() -> None:
    row = schedule()
    for days in (200, 5):
        slots_at = START - days * DAY
        Slot.objects.create(schedule=row, slot_key=f"{days}", due_at=slots_at, claimed_at=slots_at)
    Tick.objects.create(pk=1, at=START, finished_at=START, unbroken_since=START - 2 * DAY)
    ticking.tick(START + MINUTE)
    assert list(Slot.objects.filter(schedule=row).values_list("slot_key", flat=True)) == ["2027-01-11T04:00", "5"]


@pytest.mark.django_db(transaction=True)
def test_a_schedule_deleted_while_the_tick_looks_at_it_fires_nothing() -> None:
    row = schedule()
    (cadence,) = cadences.enabled()
    now = START + MINUTE
    due = owed(cadence, Clock(now=now, unbroken_since=START, grace=HOUR))
    assert due is not None
    row.delete()
    assert slots.claim(cadence, due, now) is None
    assert not Slot.objects.exists()
