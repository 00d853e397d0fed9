"""Modules without a success for too long are reported once."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from modules.models import Module
from runs import notify
from runs.models import Run
from runs.models.notification import Notification
from runs.models.states import Status
from tests.factories import (
    ModuleFactory,
    RunFactory,
    change_settings,
    create_running_run,
)
from tests.integration.notify.ended_runs import NOW, ended, events

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("recipient")]


def aged(hours: float, **fields: Any) -> Module:
    """Return a module that was created so many hours before NOW."""
    module = ModuleFactory.create(**fields)
    Module.objects.filter(pk=module.pk).update(created_at=NOW - dt.timedelta(hours=hours))
    return module


def succeeded(module: Module, hours: float, **fields: Any) -> Run:
    """Return a scheduled run of the module that succeeded so many hours before NOW."""
    at = NOW - dt.timedelta(hours=hours)
    return RunFactory.create(module=module, status=Status.SUCCESS, finished_at=at, trigger="schedule:1", **fields)


def test_no_module_is_late_while_late_after_hours_is_unset() -> None:
    succeeded(aged(1000), 999)
    assert notify.find_late(NOW) == 0


def test_a_module_without_a_success_for_too_long_is_reported_once_on_every_channel() -> None:
    change_settings(late_after_hours=24, webhook_url="https://hooks.example.com/x")
    late, on_time = aged(100), aged(100)
    succeeded(late, 25)
    succeeded(on_time, 23)
    assert [notify.find_late(NOW + dt.timedelta(minutes=minute)) for minute in range(3)] == [1, 0, 0]
    assert events(late) == ["late", "late"]
    assert events(on_time) == []
    about = Notification.objects.order_by("pk")[0].about
    assert (about["since"], about["hours"]) == ("2026-11-20T11:00:00+00:00", 24)


def test_the_success_of_a_late_module_is_reported_and_it_may_be_late_again() -> None:
    change_settings(late_after_hours=24)
    module = aged(100)
    succeeded(module, 30)
    notify.find_late(NOW)
    run = create_running_run(module=module, trigger="schedule:1")
    run.finish_success()
    assert events(module) == ["late", "recovery"]
    assert notify.find_late(timezone.now() + dt.timedelta(hours=25)) == 1
    assert events(module) == ["late", "recovery", "late"]


def test_a_module_that_only_ever_fails_is_late() -> None:
    change_settings(late_after_hours=24)
    module = aged(25)
    ended(module)
    assert notify.find_late(NOW) == 1
    assert events(module) == ["failure", "late"]


def test_a_restore_is_no_success_that_a_module_waits_for() -> None:
    change_settings(late_after_hours=24)
    module = aged(100)
    succeeded(module, 30)
    succeeded(module, 1, restore=True)
    assert notify.find_late(NOW) == 1


def test_disabled_modules_and_modules_that_only_run_manually_are_not_late() -> None:
    change_settings(late_after_hours=24)
    succeeded(aged(100, enabled=False), 30)
    for trigger in ("manual", "demo"):
        finished_at = NOW - dt.timedelta(hours=50)
        RunFactory.create(module=aged(100), status=Status.SUCCESS, finished_at=finished_at, trigger=trigger)
    assert notify.find_late(NOW) == 0


def test_only_the_modules_given_to_find_late_can_be_late() -> None:
    change_settings(late_after_hours=24)
    never_ran, other = aged(25), aged(100)
    succeeded(other, 30)
    assert notify.find_late(NOW, lambda since: Module.objects.filter(pk=never_ran.pk)) == 1
    assert (events(never_ran), events(other)) == (["late"], [])
