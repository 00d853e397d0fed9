"""Concurrent ticks start each slot once; a tick starts a real run and does not wait for it."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable

import pytest
from django.db import connections
from pytest_django import Settings

from modules.models import Module
from runs.models import GroupRun, Run
from scheduling.models import Schedule, Slot
from scheduling.tick.fire import TickReport
from scheduling.tick.tick import run_tick
from tests.factories import GroupFactory, ScheduleFactory
from tests.harness.bench import Bench
from tests.processes.commands import manage, start, wait_until

NOW = dt.datetime(2027, 1, 11, 3, 0, 30, tzinfo=dt.UTC)
AT = "2027-01-11T04:00:30+01:00"


@pytest.mark.django_db(transaction=True)
def test_concurrent_ticks_start_each_slot_once(settings: Settings) -> None:
    settings.RUN_LAUNCHER = "tests.processes.launchers.NullLauncher"
    for _ in range(12):
        ScheduleFactory.create()
    Schedule.objects.update(updated_at=NOW - dt.timedelta(minutes=1))
    barrier, reports, errors = threading.Barrier(4), list[TickReport](), list[Exception]()

    def tick() -> None:
        try:
            barrier.wait()
            # without the lock of the tick, which would admit only one of them
            reports.append(run_tick(NOW))
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert errors == []
    assert sum(len(report.started) for report in reports) == 12
    assert GroupRun.objects.count() == Slot.objects.count() == 12


@pytest.mark.matrix
def test_two_concurrent_tick_commands_start_a_group_once(transactional_db: None) -> None:
    ScheduleFactory.create(group=GroupFactory.create())
    Schedule.objects.update(updated_at=NOW - dt.timedelta(minutes=1))
    processes = [start("tick", "--at", AT) for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(out.count("1 started") for out, _ in outputs) == 1
    assert GroupRun.objects.count() == 1
    wait_until(lambda: not GroupRun.objects.active().exists())


@pytest.mark.matrix
def test_a_tick_starts_a_module_s_run_and_does_not_wait_for_it(
    bench: Bench, save_module: Callable[..., Module]
) -> None:
    bench.at_source("CREATE TABLE QCRH (A INTEGER)", "INSERT INTO QCRH VALUES (1), (2)")
    module = save_module("qcrh", "SELECT A AS a FROM QCRH")
    row = ScheduleFactory.create(group=None, module=module)
    Schedule.objects.update(updated_at=NOW - dt.timedelta(minutes=1))
    assert not Run.objects.exists()
    done = manage("tick", "--at", AT)
    assert (done.code, done.out) == (0, "1 started\n"), done.err
    wait_until(lambda: not Run.objects.active().exists())
    run = Run.objects.get()
    assert (run.status, run.trigger, run.inserted) == ("success", f"schedule:{row.pk}", 2), run.error
    assert bench.rows("SELECT a FROM sync.qcrh ORDER BY a") == [(1,), (2,)]
    assert manage("tick", "--at", AT).out == "0 started\n"
    assert Run.objects.count() == 1
