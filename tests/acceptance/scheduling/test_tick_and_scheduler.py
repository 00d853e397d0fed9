"""Tests of the commands `tick` and `scheduler`: their output, exit codes and effects."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from runs.models import GroupRun, Run
from runs.process import identity
from scheduling import loop
from scheduling.models import Schedule, Tick
from tests.factories import GroupRunFactory, ModuleFactory, RunFactory, ScheduleFactory
from tests.processes.commands import run_in_new_interpreter, start_in_new_interpreter, wait_until

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nowhere(settings: Settings) -> None:
    settings.RUN_LAUNCHER = "tests.processes.launchers.NullLauncher"


def test_tick_starts_what_is_due_at_the_given_timestamp(capsys: Capture) -> None:
    by_group = ScheduleFactory.create()
    by_module = ScheduleFactory.create(group=None, module=ModuleFactory.create())
    Schedule.objects.update(updated_at=dt.datetime(2027, 1, 1, tzinfo=dt.UTC))
    call_command("tick", "--at", "2027-01-11T04:00:00+01:00")
    assert capsys.readouterr().out == "2 started\n"
    call_command("tick", "--at", "2027-01-11T04:00:20", "--json")
    assert json.loads(capsys.readouterr().out)["started"] == []
    assert GroupRun.objects.get().trigger == f"schedule:{by_group.pk}"
    run = Run.objects.get()
    assert (run.module, run.status, run.trigger) == (by_module.module, "queued", f"schedule:{by_module.pk}")


def test_a_tick_names_what_it_finalized(capsys: Capture) -> None:
    dead = {**identity.current().as_fields(), "boot_id": "another boot"}
    started = {"status": "running", "started_at": timezone.now(), "dry_run": True, **dead}
    run, other = RunFactory.create(**started), RunFactory.create(**started)
    group_run = GroupRunFactory.create(status="running", members=[], **dead)
    Run.objects.filter(pk=other.pk).update(boot_id=identity.current().as_fields()["boot_id"])
    call_command("tick")
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert out == "0 started\n"
    assert first.startswith(
        f"run {run.pk} of {run.module_name}: its process had ended; finalized as error: The process"
    )
    assert second.startswith(f"group run {group_run.pk} of {group_run.group_name}: its process had ended; finalized as")
    Run.objects.filter(pk=other.pk).update(boot_id="another boot")
    call_command("tick", json=True)
    (entry,) = json.loads(capsys.readouterr().out)["finalized"]
    assert (entry["kind"], entry["number"], entry["name"]) == ("run", other.pk, other.module_name)
    assert (entry["status"], "ended unexpectedly" in entry["message"]) == ("error", True)


def test_a_tick_does_nothing_while_another_one_is_running(capsys: Capture) -> None:
    from scheduling.tick import lock

    ScheduleFactory.create(cron_expr="* * * * *")
    with lock.only_tick() as first:
        assert first
        call_command("tick")
    assert "Another tick is running" in capsys.readouterr().err
    assert not Tick.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_scheduler_ticks_at_once_and_is_stopped_by_a_signal() -> None:
    with start_in_new_interpreter(["scheduler"], os.environ, stdout=None, text=True) as process:
        try:
            wait_until(Tick.objects.exists)
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 143
    assert "Stopped by SIGTERM." in err


# behaves like process 1 of a container: orphaned processes become its children; prints how many zombies remain
ORPHANED_CHILDREN = """
import ctypes, os, time
import psutil
from runs.process import identity
from scheduling import loop

def zombies():
    return sum(child.status() == psutil.STATUS_ZOMBIE for child in psutil.Process().children())

# PR_SET_CHILD_SUBREAPER
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0
for _ in range(5):
    if (child := os.fork()) == 0:
        os.fork()
        os._exit(0)
    os.waitpid(child, 0)
while zombies() < 5:
    time.sleep(0.01)
loop._collect_orphans()
print(zombies())
"""


@pytest.mark.matrix
def test_the_scheduler_collects_orphaned_processes_that_have_ended() -> None:
    result = run_in_new_interpreter(["shell", "--no-imports", "-c", ORPHANED_CHILDREN], os.environ)
    assert result.stdout == "0\n", result.stderr


def test_a_tick_that_fails_does_not_end_the_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: list[dt.datetime] = []

    def fail_then_end(now: dt.datetime) -> None:
        ticks.append(now)
        if len(ticks) == 1:
            raise RuntimeError("no")
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop, "tick_and_housekeeping", fail_then_end)
    monkeypatch.setattr(loop, "_until_next_minute", lambda now: 0.01)
    monkeypatch.setattr(loop, "close_old_connections", lambda: None)
    assert loop.tick_until_signal(lambda line: None) == signal.SIGINT
    assert len(ticks) == 2


def test_the_scheduler_waits_for_the_full_minute() -> None:
    now = dt.datetime(2027, 1, 11, 4, 0, 42, 500_000, tzinfo=dt.UTC)
    next_tick = now + dt.timedelta(seconds=loop._until_next_minute(now))
    # a moment later, so that the slot of this minute is due
    assert next_tick == dt.datetime(2027, 1, 11, 4, 1, 0, 50_000, tzinfo=dt.UTC)
