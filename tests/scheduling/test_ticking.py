"""The tick, with rows before and after: what fires, what is missed, and that nothing fires twice."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from modules.models import Group, Module
from runs.models import GroupRun, Run, Setting
from runs.outbox import Notification
from scheduling import cadences, expecting, firing, slots, tending, ticking
from scheduling.due import Clock, owed
from scheduling.models import Schedule, Slot, Tick
from scheduling.reporting import TickReport
from tests.factories import GroupMemberFactory, ModuleFactory, ScheduleFactory

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


def killed_after_claiming(monkeypatch: pytest.MonkeyPatch, now: dt.datetime) -> None:
    class Killed(BaseException):
        pass

    def killed(*args: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(firing, "_started", killed)
        ticking.tick(now)
    assert Slot.objects.get(slot_key="2027-01-11T04:00").outcome == "claimed"
    assert not GroupRun.objects.exists()


def test_a_slot_whose_tick_died_before_there_was_a_run_is_started_once_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = schedule()
    killed_after_claiming(monkeypatch, START + MINUTE)
    row.refresh_from_db()
    assert row.last_fired_at == START + MINUTE
    assert play(START + 2 * MINUTE, 5 * MINUTE) == [START + 2 * MINUTE]
    slot = Slot.objects.get()
    assert (slot.outcome, slot.run_id) == ("started", GroupRun.objects.get().pk)


@pytest.mark.parametrize(("catch_up", "gap"), [("none", 4 * MINUTE), ("last", 7 * HOUR)])
def test_one_that_nobody_took_over_in_time_is_missed_and_told(
    monkeypatch: pytest.MonkeyPatch, catch_up: str, gap: dt.timedelta
) -> None:
    Setting.objects.create(key="notification_addresses", value=["ops@example.com"])
    row = schedule(catch_up=catch_up)
    ticking.tick(START)
    killed_after_claiming(monkeypatch, START + MINUTE)
    report = ticking.tick(START + MINUTE + gap)
    assert (report.started, report.missed) == ([], [f"schedule {row}"])
    assert (Slot.objects.get().outcome, GroupRun.objects.count()) == ("missed", 0)
    told = Notification.objects.get()
    assert (told.kind, told.about["group"], told.about["missed"]) == ("missed", str(row.group), 1)
    assert ticking.tick(START + 2 * MINUTE + gap).missed == []
    assert Notification.objects.count() == 1


def test_one_whose_next_time_has_come_is_one_run_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule("0,2 4 * * *")
    killed_after_claiming(monkeypatch, START + MINUTE)
    assert len(ticking.tick(START + 3 * MINUTE).started) == 1
    assert list(Slot.objects.values_list("slot_key", "outcome")) == [
        ("2027-01-11T04:02", "started"),
        ("2027-01-11T04:00", "missed"),
    ]
    finish_all()
    assert play(START + 4 * MINUTE, 5 * MINUTE) == []


def test_one_that_is_switched_off_before_it_is_taken_over_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule()
    killed_after_claiming(monkeypatch, START + MINUTE)
    Schedule.objects.update(enabled=False)
    assert play(START + 2 * MINUTE, 5 * MINUTE) == []
    assert Slot.objects.get().outcome == "skipped"


def test_a_slot_that_another_tick_started_meanwhile_is_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a tick hangs between claiming and starting, and the next one takes over."""
    schedule()
    begun = firing._started

    def overtaken(cadence: Any, slot: Slot) -> Any:
        assert begun(cadence, slot) is not None
        finish_all()
        return begun(cadence, slot)

    monkeypatch.setattr(firing, "_started", overtaken)
    report = ticking.tick(START + MINUTE)
    assert (report.started, report.failed) == ([], {})
    assert GroupRun.objects.count() == 1
    assert Slot.objects.get().outcome == "started"


def test_a_slot_that_another_tick_has_just_claimed_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    row = schedule()
    judged = firing._judged

    def claimed_meanwhile(*args: Any) -> Any:
        found = judged(*args)
        Slot.objects.create(schedule=row, slot_key="2027-01-11T04:00", due_at=START + MINUTE / 2, claimed_at=START)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(firing, "_judged", claimed_meanwhile)
        report = ticking.tick(START + MINUTE)
    assert (report.started, report.missed) == ([], [])
    assert Slot.objects.get().outcome == "claimed"
    # and when it died after all, the next one does it
    assert len(ticking.tick(START + 2 * MINUTE).started) == 1


def test_a_full_refresh_waits_for_a_module_that_runs_instead_of_being_left_out() -> None:
    module = ModuleFactory.create(full_refresh_cron="0 4 * * *")
    schedule(group=None, module=module)
    Module.objects.update(updated_at=START - MINUTE)
    ticking.tick(START)
    report = ticking.tick(START + MINUTE)
    assert (len(report.started), report.waiting, report.skipped) == (1, 1, [])
    assert ticking.tick(START + 2 * MINUTE).waiting == 1
    assert Run.objects.get().full_refresh is False
    finish_all()
    assert ticking.tick(START + 3 * MINUTE).started == [f"full refresh of {module}"]
    assert Run.objects.filter(full_refresh=True).count() == 1
    assert set(Slot.objects.values_list("outcome", flat=True)) == {"started"}
    finish_all()
    assert play(START + 4 * MINUTE, 5 * MINUTE) == []


def test_a_full_refresh_that_never_gets_its_turn_is_missed_and_told_with_what_ran() -> None:
    Setting.objects.create(key="notification_addresses", value=["ops@example.com"])
    module = ModuleFactory.create(full_refresh_cron="0 4 * * *")
    schedule(group=None, module=module)
    Module.objects.update(updated_at=START - MINUTE)
    ticking.tick(START)
    ticking.tick(START + MINUTE)
    ticking.tick(START + 7 * HOUR)
    assert Slot.objects.get(module=module).outcome == "missed"
    told = Notification.objects.get(module=module)
    assert (told.kind, told.about["schedule"]) == ("missed", f"full refresh of {module}")
    assert f"run {Run.objects.get().pk} of {module}" in told.about["error"]["message"]


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


def listened() -> None:
    Setting.objects.create(key="notification_addresses", value=["ops@example.com"])


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
    ticking.tick(START)
    back = START + outage + 5 * MINUTE / 2
    report = ticking.tick(back)
    assert len(report.started) == fired
    finish_all()
    ticking.tick(back + MINUTE)
    rows = Notification.objects.all()
    assert [told.about["missed"] for told in rows] == ([lost] if lost else [])
    for told in rows:
        assert (told.kind, told.about["schedule"], told.about["group"]) == ("missed", f"schedule {row}", str(row.group))
        assert told.about["error"]["message"] == "Nobody ticked when it was due."


def test_a_schedule_that_misses_all_day_is_told_once_a_day() -> None:
    listened()
    schedule("* * * * *", catch_up="none")
    play(START, 12 * HOUR, 5 * MINUTE)
    assert Notification.objects.count() == 1
    play(START + 22 * HOUR, HOUR, 5 * MINUTE)
    assert Notification.objects.count() == 2


def test_a_schedule_that_cannot_fire_or_start_is_told_once_a_day(settings: Settings) -> None:
    listened()
    settings.RUN_LAUNCHER = "tests.scheduling.launchers.Broken"
    lost = schedule()
    Schedule.objects.filter(pk=lost.pk).update(timezone="Mars/Olympus")
    play(START, 3 * MINUTE)
    told = Notification.objects.get()
    assert told.about["schedule"] == f"schedule {lost}"
    assert "Mars/Olympus" in told.about["error"]["message"]


def test_a_slot_that_could_not_be_started_without_leaving_a_run_is_told() -> None:
    listened()
    module = ModuleFactory.create()
    schedule(group=None, module=module)
    type(module.dest_connection).objects.filter(pk=module.dest_connection_id).update(jdbc_url="nonsense")
    report = ticking.tick(START + MINUTE)
    assert (len(report.failed), Run.objects.count()) == (1, 0)
    told = Notification.objects.get()
    assert (told.module, told.kind) == (module, "missed")
    assert "could not be started" in told.about["error"]["message"]


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
    def broken(**options: object) -> int:
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


def timed_tick(now: dt.datetime) -> tuple[TickReport, float, int]:
    with CaptureQueriesContext(connection) as queries:
        # of this process's own, as the machine may be busy
        began = time.process_time()
        report = ticking.tick(now)
        return report, time.process_time() - began, len(queries)


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
        expecting.find_late(START + minute * MINUTE)
    told = Notification.objects.order_by("module_name")
    assert [(row.kind, row.module) for row in told] == [("late", grouped), ("late", never)]
    assert not Notification.objects.filter(module=idle).exists()


def test_old_rows_are_removed_once_a_day_and_never_by_a_clock_that_has_just_jumped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[list[str]] = []

    class Noting:
        def launch(self, words: list[str], *, log: object) -> None:
            started.append(words)

    monkeypatch.setattr(tending, "launcher", Noting)

    def pruned(now: dt.datetime, steady: dt.timedelta) -> bool:
        told = {"at": now, "finished_at": now, "unbroken_since": now - steady}
        Tick.objects.update_or_create(pk=1, defaults=told)
        return tending.prune_daily(now)

    # it is four in the morning
    assert not pruned(START, 50 * MINUTE)
    assert pruned(START, 2 * HOUR)
    assert not pruned(START + 10 * HOUR, 12 * HOUR)
    # the clock is years ahead for half an hour
    assert not pruned(START + 1000 * DAY, HOUR / 2)
    assert not pruned(START + DAY - 2 * HOUR, DAY), "it is two in the morning"
    assert pruned(START + DAY, DAY)
    assert started == [["prune"]] * 2
