"""What a tick left that died or could not start: the next one starts it once, or it is missed and told."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from modules.models import Module
from runs.models import GroupRun, Run
from runs.models.notification import Notification
from scheduling.models import Schedule, Slot
from scheduling.tick import fire, tick
from tests.factories import ModuleFactory, change_settings
from tests.integration.scheduling.simulated_time import HOUR, MINUTE, START, finish_all, listened, play, schedule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nowhere")]


def killed_after_claiming(monkeypatch: pytest.MonkeyPatch, now: dt.datetime) -> None:
    class Killed(BaseException):
        pass

    def killed(*args: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(fire, "_try_start", killed)
        tick.tick(now)
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
    change_settings(notification_addresses=["ops@example.com"])
    row = schedule(catch_up=catch_up)
    tick.tick(START)
    killed_after_claiming(monkeypatch, START + MINUTE)
    report = tick.tick(START + MINUTE + gap)
    assert (report.started, report.missed) == ([], [f"schedule {row}"])
    assert (Slot.objects.get().outcome, GroupRun.objects.count()) == ("missed", 0)
    told = Notification.objects.get()
    assert (told.kind, told.about["group"], told.about["missed"]) == ("missed", str(row.group), 1)
    assert tick.tick(START + 2 * MINUTE + gap).missed == []
    assert Notification.objects.count() == 1


def test_one_whose_next_time_has_come_is_one_run_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule("0,2 4 * * *")
    killed_after_claiming(monkeypatch, START + MINUTE)
    assert len(tick.tick(START + 3 * MINUTE).started) == 1
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
    begun = fire._try_start

    def overtaken(cadence: Any, slot: Slot) -> Any:
        assert begun(cadence, slot) is not None
        finish_all()
        return begun(cadence, slot)

    monkeypatch.setattr(fire, "_try_start", overtaken)
    report = tick.tick(START + MINUTE)
    assert (report.started, report.failed) == ([], {})
    assert GroupRun.objects.count() == 1
    assert Slot.objects.get().outcome == "started"


def test_a_slot_that_another_tick_has_just_claimed_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    row = schedule()
    judged = fire._evaluate

    def claimed_meanwhile(*args: Any) -> Any:
        found = judged(*args)
        Slot.objects.create(schedule=row, slot_key="2027-01-11T04:00", due_at=START + MINUTE / 2, claimed_at=START)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(fire, "_evaluate", claimed_meanwhile)
        report = tick.tick(START + MINUTE)
    assert (report.started, report.missed) == ([], [])
    assert Slot.objects.get().outcome == "claimed"
    # and when it died after all, the next one does it
    assert len(tick.tick(START + 2 * MINUTE).started) == 1


def test_a_full_refresh_waits_for_a_module_that_runs_instead_of_being_left_out() -> None:
    module = ModuleFactory.create(full_refresh_cron="0 4 * * *")
    schedule(group=None, module=module)
    Module.objects.update(updated_at=START - MINUTE)
    tick.tick(START)
    report = tick.tick(START + MINUTE)
    assert (len(report.started), report.waiting, report.skipped) == (1, 1, [])
    assert tick.tick(START + 2 * MINUTE).waiting == 1
    assert Run.objects.get().full_refresh is False
    finish_all()
    assert tick.tick(START + 3 * MINUTE).started == [f"full refresh of {module}"]
    assert Run.objects.filter(full_refresh=True).count() == 1
    assert set(Slot.objects.values_list("outcome", flat=True)) == {"started"}
    finish_all()
    assert play(START + 4 * MINUTE, 5 * MINUTE) == []


def test_a_full_refresh_that_never_gets_its_turn_is_missed_and_told_with_what_ran() -> None:
    change_settings(notification_addresses=["ops@example.com"])
    module = ModuleFactory.create(full_refresh_cron="0 4 * * *")
    schedule(group=None, module=module)
    Module.objects.update(updated_at=START - MINUTE)
    tick.tick(START)
    tick.tick(START + MINUTE)
    tick.tick(START + 7 * HOUR)
    assert Slot.objects.get(module=module).outcome == "missed"
    told = Notification.objects.get(module=module)
    assert (told.kind, told.about["schedule"]) == ("missed", f"full refresh of {module}")
    assert f"run {Run.objects.get().pk} of {module}" in told.about["error"]["message"]


def test_a_slot_that_could_not_be_started_without_leaving_a_run_is_told() -> None:
    listened()
    module = ModuleFactory.create()
    schedule(group=None, module=module)
    type(module.dest_connection).objects.filter(pk=module.dest_connection_id).update(jdbc_url="nonsense")
    report = tick.tick(START + MINUTE)
    assert (len(report.failed), Run.objects.count()) == (1, 0)
    told = Notification.objects.get()
    assert (told.module, told.kind) == (module, "missed")
    assert "could not be started" in told.about["error"]["message"]
