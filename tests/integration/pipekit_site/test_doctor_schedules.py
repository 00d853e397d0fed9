"""The schedules check of `doctor`: the scheduler is not running, or schedules are invalid."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from pipekit_site.doctor.checks import CHECKS, Check, run_checks
from scheduling.models import Progress, Schedule, Tick
from tests.factories import ModuleFactory, ScheduleFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_crontab_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def check_schedules() -> Check:
    return next(run_checks(check for check in CHECKS if check[0] == "schedules"))


def create_tick(ago: dt.timedelta) -> None:
    at = timezone.now() - ago
    Tick.objects.update_or_create(pk=1, defaults={"at": at, "unbroken_since": at, "finished_at": at})


def test_the_scheduler_need_not_run_if_nothing_is_scheduled() -> None:
    ScheduleFactory.create(enabled=False)
    assert (check_schedules().ok, check_schedules().message) == (True, "nothing is scheduled")


def test_a_schedule_without_any_tick_is_reported() -> None:
    ScheduleFactory.create()
    assert "no process runs the tick: there has been none" in check_schedules().message
    assert "keep `manage.py scheduler` running" in check_schedules().hint


def test_a_full_refresh_cron_without_any_tick_is_reported() -> None:
    ModuleFactory.create(full_refresh_cron="@weekly")
    assert not check_schedules().ok


def test_a_last_tick_older_than_three_minutes_is_reported() -> None:
    ScheduleFactory.create()
    create_tick(dt.timedelta(minutes=2, seconds=50))
    assert check_schedules().ok
    assert check_schedules().message.startswith("1 schedule is enabled; the last tick was at ")
    assert check_schedules().message.endswith(" UTC, by the scheduler, another user's cron or a command")
    create_tick(dt.timedelta(minutes=3, seconds=10))
    assert "no process runs the tick: the last was at" in check_schedules().message


@pytest.mark.parametrize(
    ("lines", "hint"),
    [
        ("", "manage.py installcron, or keep"),
        ("current", "The line is in the crontab. Check that cron runs (systemctl status cron)"),
        ("* * * * * x # ours", "The line in the crontab is not what manage.py installcron writes now: run it."),
        ("current\ncurrent", "The 2 lines in the crontab are not what manage.py installcron writes now: run it."),
    ],
)
def test_with_a_crontab_program_the_hint_depends_on_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, hint: str
) -> None:
    # keeps the crontab in the file `table`
    program = tmp_path / "crontab"
    program.write_text(f"#!/bin/sh\ncd {tmp_path}\n[ $1 = - ] && exec /bin/cat >table\n/bin/cat table\n")
    program.chmod(0o755)
    table = tmp_path / "table"
    table.touch()
    call_command("installcron")
    current = table.read_text().strip()
    table.write_text(lines.replace("current", current).replace("ours", settings.CRONTAB_COMMENT))
    ScheduleFactory.create()
    assert check_schedules().hint.startswith(hint)


def test_a_line_is_not_blamed_where_installcron_would_be_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "crontab"
    program.write_text(f"#!/bin/sh\necho '* * * * * x # {settings.CRONTAB_COMMENT}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("TZ", "100%")
    ScheduleFactory.create()
    assert check_schedules().hint.startswith("The line is in the crontab. Check that cron runs")


def test_a_schedule_that_cannot_fire_is_reported() -> None:
    row: Schedule = ScheduleFactory.create(name="odd")
    create_tick(dt.timedelta())
    Progress.objects.create(schedule=row, seen_until=timezone.now(), error="This machine knows no time zone “Mars”.")
    assert "1 schedule cannot fire; odd: This machine knows no time zone" in check_schedules().message


def test_a_descending_range_is_reported_before_the_next_tick() -> None:
    ScheduleFactory.create(name="odd", cron_expr="0 4 * * sat-mon")
    ModuleFactory.create(name="orders", full_refresh_cron="0 22-4 * * *")
    create_tick(dt.timedelta())
    message = check_schedules().message
    assert "2 schedules cannot fire; odd: The range “sat-mon”" in message
    assert "Write sat,sun,mon instead." in message
    Schedule.objects.all().delete()
    assert "1 schedule cannot fire; full refresh of orders: The range “22-4”" in check_schedules().message


def test_the_error_of_the_last_tick_is_reported() -> None:
    ScheduleFactory.create()
    create_tick(dt.timedelta())
    Tick.objects.update(error="NotFinalized: orders #5: OSError: disk")
    check = check_schedules()
    assert not check.ok
    assert "NotFinalized: orders #5: OSError: disk" in check.message
    assert "tick.log" in check.hint
