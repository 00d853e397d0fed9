"""Tests of the command `schedule`: its output, exit codes and effects."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from scheduling.models import Schedule, Tick
from tests.factories import GroupFactory, ModuleFactory, ScheduleFactory
from tests.processes.commands import exit_code

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nowhere(settings: Settings) -> None:
    settings.RUN_LAUNCHER = "tests.processes.launchers.NullLauncher"


def schedule_json(capsys: Capture, *words: str) -> Any:
    """Call `schedule` with --json, and return its output."""
    call_command("schedule", *words, "--json")
    return json.loads(capsys.readouterr().out)


def test_schedule_creates_the_schedule_of_a_group_and_changes_it(capsys: Capture) -> None:
    group = GroupFactory.create(name="nightly")
    call_command("schedule", "nightly", "daily", "04:00")
    row = Schedule.objects.get()
    assert (row.name, row.group, row.cron_expr, row.timezone) == ("nightly", group, "0 4 * * *", "Europe/Berlin")
    call_command("schedule", "nightly", "0 */2 * * *", "--timezone", "UTC", "--catch-up", "none")
    row = Schedule.objects.get()
    assert (row.cron_expr, row.timezone, row.catch_up) == ("0 */2 * * *", "UTC", "none")
    assert "nightly: group nightly, every 2 hours, every day (UTC); next 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("minutes", "line", "is_warned"),
    [(None, "", True), (4, "", True), (2, "", False), (None, "* * * * * x # ours", False)],
)
def test_schedule_warns_if_the_scheduler_is_not_running_and_no_crontab_line_is_installed(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, minutes: int | None, line: str, is_warned: bool
) -> None:
    program = tmp_path / "crontab"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' '{line.replace('ours', settings.CRONTAB_COMMENT)}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    if minutes is not None:
        at = timezone.now() - dt.timedelta(minutes=minutes)
        Tick.objects.create(pk=1, at=at, unbroken_since=at, finished_at=at)
    GroupFactory.create(name="nightly")
    call_command("schedule", "nightly", "daily", "04:00")
    err = capsys.readouterr().err
    assert Schedule.objects.get().cron_expr == "0 4 * * *"
    assert ("warning: No tick is running, so no schedule fires: " in err) is is_warned
    assert ("manage.py installcron, or keep `manage.py scheduler` running.\n" in err) is is_warned
    assert len(err.splitlines()) == is_warned


def test_schedule_creates_and_removes_the_schedule_of_a_module() -> None:
    module = ModuleFactory.create(name="qcrh")
    call_command("schedule", "qcrh", "weekly", "mon", "00:00")
    assert Schedule.objects.get().module == module
    call_command("schedule", "qcrh", "remove")
    assert not Schedule.objects.exists()
    assert exit_code("schedule", "qcrh", "remove") == 3


def test_a_name_of_a_group_and_a_module_requires_an_option(capsys: Capture) -> None:
    GroupFactory.create(name="erp")
    module = ModuleFactory.create(name="erp")
    assert exit_code("schedule", "erp", "daily") == 2
    assert "Choose one of them: --group or --module." in capsys.readouterr().err
    call_command("schedule", "erp", "daily", "--module")
    call_command("schedule", "erp", "daily", "--group")
    assert Schedule.objects.get(name="erp").module == module
    assert Schedule.objects.get(name="erp-2").group is not None


def test_an_unknown_name_exits_with_3_and_a_similar_name_is_suggested(capsys: Capture) -> None:
    GroupFactory.create(name="nightly")
    assert exit_code("schedule", "nihgtly", "daily") == 3
    assert "Did you mean “nightly”?" in capsys.readouterr().err


@pytest.mark.parametrize("when", ["daily 25:00", "0 0 31 2 *", "R R * * *", "0 0 0 * * *", "@reboot", "soon"])
def test_an_invalid_time_exits_with_2_and_creates_no_schedule(capsys: Capture, when: str) -> None:
    GroupFactory.create(name="nightly")
    assert exit_code("schedule", "nightly", *when.split()) == 2
    assert "error: " in capsys.readouterr().err
    assert not Schedule.objects.exists()


def test_several_schedules_of_a_group_are_changed_by_their_own_names() -> None:
    row = ScheduleFactory.create(name="early")
    ScheduleFactory.create(name="late", group=row.group)
    assert exit_code("schedule", str(row.group), "daily") == 2
    call_command("schedule", "early", "daily", "03:00")
    assert Schedule.objects.get(name="early").cron_expr == "0 3 * * *"
    assert Schedule.objects.get(name="late").cron_expr == "0 4 * * *"


def test_next_prints_timestamps_with_offsets(capsys: Capture) -> None:
    row = ScheduleFactory.create(cron_expr="30 2 * * *")
    assert schedule_json(capsys, str(row.group), "next", "--count", "3", "--from", "2027-03-27T00:00:00Z") == [
        "2027-03-27T02:30:00+01:00",
        "2027-03-28T03:00:00+02:00",
        "2027-03-29T02:30:00+02:00",
    ]
    # a timestamp without an offset is in the schedule's time zone
    assert schedule_json(capsys, row.name, "next", "--count", "1", "--from", "2027-03-27T02:30") == [
        "2027-03-28T03:00:00+02:00"
    ]
    call_command("schedule", str(row.group), "next", "--count", "2", "--from", "2027-10-30T12:00Z")
    assert capsys.readouterr().out.split() == ["2027-10-31T02:30:00+02:00", "2027-11-01T02:30:00+01:00"]


def test_next_merges_the_times_of_all_schedules_of_a_group_in_order(capsys: Capture) -> None:
    row = ScheduleFactory.create(cron_expr="30 * * * *")
    ScheduleFactory.create(group=row.group, cron_expr="45 * * * *")
    times = schedule_json(capsys, str(row.group), "next", "--count", "4", "--from", "2027-10-31T00:00Z")
    assert [text[11:16] + text[19:] for text in times] == [
        *("02:30+02:00", "02:45+02:00", "02:30+01:00", "02:45+01:00"),
    ]


def test_next_prints_as_many_times_as_requested_or_a_message_that_there_are_no_more(capsys: Capture) -> None:
    row = ScheduleFactory.create(cron_expr="0 0 29 2 *", timezone="UTC")
    words = ("schedule", str(row.group), "next", "--from", "2026-01-01T00:00Z", "--json", "--count")
    call_command(*words, "4")
    out, err = capsys.readouterr()
    assert [text[:10] for text in json.loads(out)] == ["2028-02-29", "2032-02-29", "2036-02-29", "2040-02-29"]
    assert err == ""
    call_command(*words, "30")
    out, err = capsys.readouterr()
    # 2100 is no leap year
    assert len(json.loads(out)) == 24
    assert "Only 24 of 30 times: there are no more in the next 100 years." in err


def test_next_prints_a_message_at_the_end_of_the_calendar(capsys: Capture) -> None:
    row = ScheduleFactory.create(cron_expr="0 0 1 * *", timezone="UTC")
    call_command("schedule", str(row.group), "next", "--count", "3", "--from", "9999-10-15T00:00Z", "--json")
    out, err = capsys.readouterr()
    assert json.loads(out) == ["9999-11-01T00:00:00+00:00", "9999-12-01T00:00:00+00:00"]
    assert "Only 2 of 3 times" in err


def test_next_exits_with_3_without_a_schedule_and_refuses_an_invalid_timestamp() -> None:
    GroupFactory.create(name="nightly")
    assert exit_code("schedule", "nightly", "next") == 3
    with pytest.raises(CommandError, match="is not a timestamp"):
        call_command("schedule", "nightly", "next", "--from", "noon")


def test_a_verification_schedule_is_suggested_if_there_is_no_other(capsys: Capture) -> None:
    ModuleFactory.create(name="qcrh")
    call_command("schedule", "qcrh", "--verify", "daily", "06:00")
    assert capsys.readouterr().out.startswith("qcrh-verify: verifies module qcrh, at 06:00, every day")
    for word in ("next", "remove"):
        assert exit_code("schedule", "qcrh", word) == 3
        err = capsys.readouterr().err
        assert "The module qcrh has no schedule that runs it. It has one that verifies it: qcrh-verify." in err
        assert f"manage.py schedule qcrh --verify {word}" in err
    assert Schedule.objects.count() == 1


def test_a_schedule_that_runs_is_suggested_if_there_is_no_verification_schedule(capsys: Capture) -> None:
    GroupFactory.create(name="nightly")
    call_command("schedule", "nightly", "daily", "06:00")
    capsys.readouterr()
    assert exit_code("schedule", "nightly", "--verify", "remove") == 3
    err = capsys.readouterr().err
    assert "The group nightly has no schedule that verifies it. It has one that runs it: nightly." in err
    assert "manage.py schedule nightly remove" in err


def test_the_error_about_a_missing_verification_schedule_names_the_command_that_creates_it(capsys: Capture) -> None:
    ModuleFactory.create(name="qcrh")
    assert exit_code("schedule", "qcrh", "--verify", "next") == 3
    err = capsys.readouterr().err
    assert "The module qcrh has no verification schedule." in err
    assert "manage.py schedule qcrh --verify daily 04:00" in err


@pytest.mark.parametrize("words", [("remove",), ("next",), ("daily", "25:00"), ("daily", "--timezone", "Mars")])
def test_every_error_of_schedule_has_a_fix_and_a_code(capsys: Capture, words: tuple[str, ...]) -> None:
    GroupFactory.create(name="nightly")
    exit_code("schedule", "nightly", *words)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("error: ") and lines[-1].startswith("code:  ")
    assert any(line.startswith("fix:   ") for line in lines)
