"""Ticks in real processes that are killed at each of their fault points: each slot has exactly one run."""

from __future__ import annotations

import datetime as dt
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from modules.models import Module
from runs.models import Run
from runs.models.notification import Notification
from scheduling.models import Schedule, Slot
from tests.factories import ScheduleFactory, change_settings
from tests.harness.bench import Bench
from tests.processes.commands import manage, start, wait_until

pytestmark = pytest.mark.matrix
DUE = dt.datetime(2027, 1, 11, 3, 0, tzinfo=dt.UTC)
POINTS = ("tick.evaluated", "tick.reserved", "launch.queued", "tick.started", "tick.recorded", "tick.fired")


@pytest.fixture
def module(bench: Bench, save_module: Callable[..., Module]) -> Module:
    """An append with a daily schedule; a second run would double its rows."""
    bench.at_source("CREATE TABLE QCRH (A INTEGER)", "INSERT INTO QCRH VALUES (1), (2)")
    module = save_module("qcrh", "SELECT A AS a FROM QCRH", merge_strategy="append")
    ScheduleFactory.create(group=None, module=module, cron_expr="0 4 * * *")
    Schedule.objects.update(updated_at=DUE - dt.timedelta(minutes=5))
    change_settings(notification_addresses=["ops@example.com"])
    return module


def tick(minute: int, **environment: str) -> Any:
    """Run a tick this many minutes after the schedule's slot."""
    return manage("tick", "--at", (DUE + dt.timedelta(minutes=minute, seconds=20)).isoformat(), **environment)


@pytest.mark.parametrize("point", POINTS)
def test_a_tick_killed_at_any_point_loses_no_slot_and_starts_none_twice(
    module: Module, bench: Bench, tmp_path: Path, point: str
) -> None:
    log = tmp_path / "faults"
    tick(-1)
    killed = tick(0, PIPEKIT_FAULTS=f"{point}=kill9", PIPEKIT_FAULT_LOG=str(log))
    assert killed.code == -signal.SIGKILL, killed.err
    assert f"{point} kill9" in log.read_text()
    # a queued run without a process is considered dead after a minute
    Run.objects.filter(pid=None).update(created_at=DUE - dt.timedelta(days=1000))
    for minute in (1, 2):
        result = tick(minute)
        assert result.code == 0, result.err
        wait_until(lambda: not Run.objects.active().exists())
    (run,) = Run.objects.all()
    slot = Slot.objects.get()
    assert (slot.outcome, slot.run_id) == ("started", run.pk)
    if point == "launch.queued":
        # the run was inserted but its process was not started: it is not started again, and is notified of
        assert (run.status, (run.error or {})["code"]) == ("error", "lost")
        assert Notification.objects.get().run == run
    else:
        assert run.status == "success", run.error
        assert bench.rows("SELECT a FROM sync.qcrh ORDER BY a") == [(1,), (2,)]


def test_a_tick_without_faults_passes_every_point(module: Module, tmp_path: Path) -> None:
    log = tmp_path / "faults"
    assert tick(0, PIPEKIT_FAULTS="none=raise", PIPEKIT_FAULT_LOG=str(log)).code == 0
    wait_until(lambda: not Run.objects.active().exists())
    passed = [line.split()[0] for line in log.read_text().splitlines()]
    assert [name for name in dict.fromkeys(passed) if name.startswith(("tick.", "launch."))] == list(POINTS)


def test_the_slot_of_a_tick_that_hangs_is_started_by_the_next_tick_and_not_again_when_the_first_resumes(
    module: Module, bench: Bench, tmp_path: Path
) -> None:
    """As on two machines, whose ticks do not share the file lock."""
    log, lock = tmp_path / "faults", Path(os.environ.get("PIPEKIT_DATA_DIR", "")) / "locks" / "tick.lock"
    tick(-1)
    faults = {"PIPEKIT_FAULTS": "tick.reserved=stop", "PIPEKIT_FAULT_LOG": str(log)}
    hanging = start("tick", "--at", (DUE + dt.timedelta(seconds=20)).isoformat(), **faults)
    wait_until(lambda: log.exists() and "tick.reserved stop" in log.read_text())
    assert Slot.objects.get().outcome == "claimed"
    # the stopped tick keeps its lock on the deleted file
    lock.unlink(missing_ok=True)
    assert tick(1).out == "1 started\n"
    wait_until(lambda: not Run.objects.active().exists())
    hanging.send_signal(signal.SIGCONT)
    out, err = hanging.communicate(timeout=120)
    assert (hanging.returncode, out) == (0, "0 started\n"), err
    assert Run.objects.get().status == "success"
    assert bench.rows("SELECT a FROM sync.qcrh ORDER BY a") == [(1,), (2,)]


def test_a_tick_waits_for_locked_metadata_and_loses_no_slot_when_it_times_out(module: Module, bench: Bench) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite locks the whole database")
    import sqlite3

    tick(-1)
    with sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None) as locker:
        locker.execute("BEGIN IMMEDIATE")
        waiting = start("tick", "--at", (DUE + dt.timedelta(seconds=20)).isoformat())
        started = time.monotonic()
        wait_until(lambda: waiting.poll() is not None, seconds=240)
        assert time.monotonic() - started > 20, "it did not wait"
        assert waiting.communicate()[1].count("database is locked") >= 1
        assert waiting.returncode != 0
        locker.execute("ROLLBACK")
    assert not Slot.objects.exists()
    assert tick(2).out == "1 started\n"
    wait_until(lambda: not Run.objects.active().exists())
    assert bench.rows("SELECT a FROM sync.qcrh ORDER BY a") == [(1,), (2,)]
