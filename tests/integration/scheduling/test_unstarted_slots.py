"""Slots that a tick reserved but did not start: the next tick starts them once, or they are missed and reported."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from modules.models import Module
from runs.models import GroupRun, Run
from runs.models.notification import Notification
from scheduling.models import Schedule, Slot
from scheduling.querysets import SlotQuerySet
from scheduling.tick import fire
from scheduling.tick.tick import run_tick
from tests.factories import ModuleFactory, change_settings
from tests.integration.scheduling.simulated_time import HOUR, MINUTE, START, finish_all, listened, play, schedule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nowhere")]


def tick_that_dies_after_claiming(monkeypatch: pytest.MonkeyPatch, now: dt.datetime) -> None:
    class Killed(BaseException):
        pass

    def die(*args: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(fire, "_try_start", die)
        run_tick(now)
    assert Slot.objects.get(slot_key="2027-01-11T04:00").outcome == "claimed"
    assert not GroupRun.objects.exists()


def test_a_slot_whose_tick_died_before_inserting_the_run_is_started_once_by_the_next_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = schedule()
    tick_that_dies_after_claiming(monkeypatch, START + MINUTE)
    row.refresh_from_db()
    assert row.last_fired_at == START + MINUTE
    assert play(START + 2 * MINUTE, 5 * MINUTE) == [START + 2 * MINUTE]
    slot = Slot.objects.get()
    assert (slot.outcome, slot.run_id) == ("started", GroupRun.objects.get().pk)


@pytest.mark.parametrize(("catch_up", "gap"), [("none", 4 * MINUTE), ("last", 7 * HOUR)])
def test_a_claimed_slot_that_expires_before_the_next_tick_is_missed_and_reported_once(
    monkeypatch: pytest.MonkeyPatch, catch_up: str, gap: dt.timedelta
) -> None:
    change_settings(notification_addresses=["ops@example.com"])
    row = schedule(catch_up=catch_up)
    run_tick(START)
    tick_that_dies_after_claiming(monkeypatch, START + MINUTE)
    report = run_tick(START + MINUTE + gap)
    assert (report.started, report.missed) == ([], [f"schedule {row}"])
    assert (Slot.objects.get().outcome, GroupRun.objects.count()) == ("missed", 0)
    notification = Notification.objects.get()
    about = notification.about
    assert (notification.kind, about["group"], about["missed"]) == ("missed", str(row.group), 1)
    assert run_tick(START + 2 * MINUTE + gap).missed == []
    assert Notification.objects.count() == 1


def test_a_claimed_slot_followed_by_a_later_due_slot_is_missed_and_only_the_later_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schedule("0,2 4 * * *")
    tick_that_dies_after_claiming(monkeypatch, START + MINUTE)
    assert len(run_tick(START + 3 * MINUTE).started) == 1
    assert list(Slot.objects.values_list("slot_key", "outcome")) == [
        ("2027-01-11T04:02", "started"),
        ("2027-01-11T04:00", "missed"),
    ]
    finish_all()
    assert play(START + 4 * MINUTE, 5 * MINUTE) == []


def test_a_claimed_slot_of_a_schedule_that_was_disabled_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule()
    tick_that_dies_after_claiming(monkeypatch, START + MINUTE)
    Schedule.objects.update(enabled=False)
    assert play(START + 2 * MINUTE, 5 * MINUTE) == []
    assert Slot.objects.get().outcome == "skipped"


def test_a_slot_started_by_another_tick_is_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick hangs between reserving and starting, and the next tick starts its slot."""
    schedule()
    try_start = fire._try_start

    def start_twice(timer: Any, slot: Slot) -> Any:
        assert try_start(timer, slot) is not None
        finish_all()
        return try_start(timer, slot)

    monkeypatch.setattr(fire, "_try_start", start_twice)
    report = run_tick(START + MINUTE)
    assert (report.started, report.failed) == ([], {})
    assert GroupRun.objects.count() == 1
    assert Slot.objects.get().outcome == "started"


def test_a_slot_that_another_tick_has_just_reserved_is_left_to_that_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    row = schedule()
    evaluate = fire._evaluate

    def evaluate_and_reserve(*args: Any) -> Any:
        evaluation = evaluate(*args)
        Slot.objects.create(schedule=row, slot_key="2027-01-11T04:00", due_at=START + MINUTE / 2, claimed_at=START)
        return evaluation

    with monkeypatch.context() as patched:
        patched.setattr(fire, "_evaluate", evaluate_and_reserve)
        report = run_tick(START + MINUTE)
    assert (report.started, report.missed) == ([], [])
    assert Slot.objects.get().outcome == "claimed"
    # the other tick did not start it, so the next one does
    assert len(run_tick(START + 2 * MINUTE).started) == 1


def test_a_full_refresh_waits_while_its_module_is_running_and_is_not_skipped() -> None:
    module = ModuleFactory.create(full_refresh_cron="0 4 * * *")
    schedule(group=None, module=module)
    Module.objects.update(updated_at=START - MINUTE)
    run_tick(START)
    report = run_tick(START + MINUTE)
    assert (len(report.started), report.waiting, report.skipped) == (1, 1, [])
    assert run_tick(START + 2 * MINUTE).waiting == 1
    assert Run.objects.get().full_refresh is False
    finish_all()
    assert run_tick(START + 3 * MINUTE).started == [f"full refresh of {module}"]
    assert Run.objects.filter(full_refresh=True).count() == 1
    assert set(Slot.objects.values_list("outcome", flat=True)) == {"started"}
    finish_all()
    assert play(START + 4 * MINUTE, 5 * MINUTE) == []


def test_a_full_refresh_whose_module_stays_busy_is_missed_and_reported_with_the_blocking_run() -> None:
    change_settings(notification_addresses=["ops@example.com"])
    module = ModuleFactory.create(full_refresh_cron="0 4 * * *")
    schedule(group=None, module=module)
    Module.objects.update(updated_at=START - MINUTE)
    run_tick(START)
    run_tick(START + MINUTE)
    run_tick(START + 7 * HOUR)
    assert Slot.objects.get(module=module).outcome == "missed"
    notification = Notification.objects.get(module=module)
    assert (notification.kind, notification.about["schedule"]) == ("missed", f"full refresh of {module}")
    assert f"run {Run.objects.get().pk} of {module}" in notification.about["error"]["message"]


def test_a_slot_that_could_not_be_started_and_left_no_run_is_reported() -> None:
    listened()
    module = ModuleFactory.create()
    schedule(group=None, module=module)
    type(module.dest_connection).objects.filter(pk=module.dest_connection_id).update(jdbc_url="nonsense")
    report = run_tick(START + MINUTE)
    assert (len(report.failed), Run.objects.count()) == (1, 0)
    notification = Notification.objects.get()
    assert (notification.module, notification.kind) == (module, "missed")
    assert "could not be started" in notification.about["error"]["message"]


def test_a_slot_that_another_tick_reserves_while_this_one_reads_them_is_left_to_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row, unstarted = schedule(), SlotQuerySet.unstarted
    assert len(run_tick(START + MINUTE).started) == 1
    finish_all()

    def and_reserve(slots: SlotQuerySet) -> Any:
        # evaluated before the other tick reserves its slot
        read = list(unstarted(slots))
        now = START + MINUTE
        Slot.objects.get_or_create(schedule=row, slot_key="other", defaults={"due_at": now, "claimed_at": now})
        return read

    monkeypatch.setattr(SlotQuerySet, "unstarted", and_reserve)
    assert run_tick(START + 2 * MINUTE).started == []
    monkeypatch.undo()
    assert len(run_tick(START + 3 * MINUTE).started) == 1
