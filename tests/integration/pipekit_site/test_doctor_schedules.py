"""`doctor` on schedules: it is told when nobody ticks, and what to do about it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from pipekit_site.doctor import checks
from pipekit_site.doctor.checks import CHECKS, Check
from scheduling.models import Progress, Schedule, Tick
from tests.factories import ModuleFactory, ScheduleFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def look() -> Check:
    return next(checks.run(check for check in CHECKS if check[0] == "schedules"))


def ticked(ago: dt.timedelta) -> None:
    at = timezone.now() - ago
    Tick.objects.update_or_create(pk=1, defaults={"at": at, "unbroken_since": at, "finished_at": at})


def test_nothing_scheduled_needs_no_tick() -> None:
    ScheduleFactory.create(enabled=False)
    assert (look().ok, look().message) == (True, "nothing is scheduled")


def test_a_schedule_that_nobody_ticks_for_is_told() -> None:
    ScheduleFactory.create()
    assert "no process runs the tick: there has been none" in look().message
    assert "keep `manage.py scheduler` running" in look().hint


def test_a_full_refresh_cron_needs_ticks_too() -> None:
    ModuleFactory.create(full_refresh_cron="@weekly")
    assert not look().ok


def test_a_tick_older_than_three_minutes_is_told() -> None:
    ScheduleFactory.create()
    ticked(dt.timedelta(minutes=2, seconds=50))
    assert look().ok
    ticked(dt.timedelta(minutes=3, seconds=10))
    assert "no process runs the tick: the last was at" in look().message


@pytest.mark.parametrize(
    ("lines", "hint"), [("", "manage.py installcron"), ("* * * * * x # ours", "systemctl status cron")]
)
def test_with_a_crontab_program_the_hint_is_about_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, hint: str
) -> None:
    program = tmp_path / "crontab"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' '{lines.replace('ours', settings.CRONTAB_COMMENT)}'\n")
    program.chmod(0o755)
    ScheduleFactory.create()
    assert hint in look().hint


def test_a_schedule_that_cannot_fire_is_told() -> None:
    row: Schedule = ScheduleFactory.create(name="odd")
    ticked(dt.timedelta())
    Progress.objects.create(schedule=row, seen_until=timezone.now(), error="This machine knows no time zone “Mars”.")
    assert "1 schedules cannot fire; odd: This machine knows no time zone" in look().message


def test_a_range_that_runs_backwards_is_reported_before_any_tick_has_met_it() -> None:
    ScheduleFactory.create(name="odd", cron_expr="0 4 * * sat-mon")
    ModuleFactory.create(name="orders", full_refresh_cron="0 22-4 * * *")
    ticked(dt.timedelta())
    said = look().message
    assert "2 schedules cannot fire; odd: The range “sat-mon”" in said
    assert "Write sat,sun,mon instead." in said
    Schedule.objects.all().delete()
    assert "1 schedules cannot fire; full refresh of orders: The range “22-4”" in look().message
