"""The limit of a connection: a run waits while max_parallel earlier runs use it as source or destination."""

from __future__ import annotations

import collections
import datetime as dt
import itertools
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from connections.models import Connection
from runs.lifecycle import connection_limit
from runs.lifecycle.connection_limit import wait_for_turn
from runs.models import Run
from runs.process import identity
from tests.factories import ConnectionFactory, ModuleFactory, RunFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def erp() -> Connection:
    connection: Connection = ConnectionFactory.create(name="erp", max_parallel=2)
    return connection


def running(**module: Any) -> Run:
    """Return a run of this process, of a new module."""
    run: Run = RunFactory.create(module=ModuleFactory.create(**module))
    run.start(**identity.current().as_fields())
    return run


class StopWaiting(Exception):
    """Raised instead of a wait after which no other run ends."""


def waited_for(run: Run, monkeypatch: pytest.MonkeyPatch, *ends: Run) -> list[str]:
    """Let the run wait for its turn, while one of the other runs ends at each poll; return what it reported."""
    reasons, ending = list[str](), iter(ends)

    def end_next(seconds: float) -> None:
        if (ended := next(ending, None)) is None:
            raise StopWaiting
        ended.finish_success()

    monkeypatch.setattr(time, "sleep", end_next)
    wait_for_turn(run, reasons.append)
    assert list(ending) == []
    return reasons


def test_a_run_waits_until_fewer_earlier_runs_use_its_connection(
    erp: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = running(source_connection=erp), running(dest_connection=erp)
    third, fourth = running(source_connection=erp), running(source_connection=erp)
    assert waited_for(first, monkeypatch) == waited_for(second, monkeypatch) == []
    names = [f"{run.pk} ({run.module_name})" for run in (first, second, third)]
    assert waited_for(fourth, monkeypatch, second, first) == [
        f"waiting for erp, whose max_parallel is 2: runs {', '.join(names)}",
        f"waiting for erp, whose max_parallel is 2: runs {names[0]}, {names[2]}",
    ]


def test_runs_that_wait_for_another_connection_use_none(erp: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    Connection.objects.update(max_parallel=1)
    warehouse = ConnectionFactory.create(name="warehouse", max_parallel=2)
    first, second, third = (running(source_connection=erp, dest_connection=warehouse) for _ in range(3))
    for waiting in (second, third):
        with pytest.raises(StopWaiting):
            waited_for(waiting, monkeypatch)
    other = running(dest_connection=warehouse)
    # of the runs of the warehouse only the first has begun
    assert waited_for(other, monkeypatch) == []
    assert waited_for(second, monkeypatch, first) == [
        f"waiting for erp, whose max_parallel is 1: runs {first.pk} ({first.module_name})"
    ]
    # the two that have begun, although one of them is later
    last = running(dest_connection=warehouse)
    both = f"runs {second.pk} ({second.module_name}), {other.pk} ({other.module_name})"
    assert waited_for(last, monkeypatch, other) == [f"waiting for warehouse, whose max_parallel is 2: {both}"]
    with pytest.raises(StopWaiting):
        waited_for(third, monkeypatch)
    assert waited_for(third, monkeypatch, second) == [
        f"waiting for erp, whose max_parallel is 1: runs {second.pk} ({second.module_name})"
    ]


def test_a_run_that_waited_counts_later_ones_that_have_begun(erp: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    Connection.objects.update(max_parallel=1)
    warehouse = ConnectionFactory.create(name="warehouse", max_parallel=1)
    first = running(source_connection=erp)
    second = running(source_connection=erp, dest_connection=warehouse)
    with pytest.raises(StopWaiting):
        waited_for(second, monkeypatch)
    later = running(dest_connection=warehouse)
    # not started
    RunFactory.create(module=ModuleFactory.create(dest_connection=warehouse))
    assert waited_for(later, monkeypatch) == []
    first.finish_success()
    assert waited_for(second, monkeypatch, later) == [
        f"waiting for warehouse, whose max_parallel is 1: runs {later.pk} ({later.module_name})"
    ]


def test_runs_that_wait_for_the_same_connection_begin_in_their_order(
    erp: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    Connection.objects.update(max_parallel=1)
    first, second, third = (running(source_connection=erp) for _ in range(3))
    with pytest.raises(StopWaiting):
        waited_for(second, monkeypatch)
    assert waited_for(third, monkeypatch, first, second)[-1].endswith(f"runs {second.pk} ({second.module_name})")


def test_a_run_that_waits_for_two_connections_is_overtaken_only_by_runs_of_one(
    erp: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    Connection.objects.update(max_parallel=1)
    warehouse = ConnectionFactory.create(name="warehouse", max_parallel=1)
    first, second = (running(source_connection=erp, dest_connection=warehouse) for _ in range(2))
    with pytest.raises(StopWaiting):
        waited_for(second, monkeypatch)
    first.finish_success()
    third = running(source_connection=erp, dest_connection=warehouse)
    with pytest.raises(StopWaiting):
        waited_for(third, monkeypatch)
    of_one = running(dest_connection=warehouse)
    assert waited_for(of_one, monkeypatch) == []
    assert waited_for(second, monkeypatch, of_one)[0].endswith(f"runs {of_one.pk} ({of_one.module_name})")
    assert waited_for(third, monkeypatch, second)[0].endswith(f"runs {second.pk} ({second.module_name})")


@pytest.mark.django_db(transaction=True)
def test_a_run_that_begins_is_not_recorded_as_waiting_after_a_failed_commit(
    erp: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    Connection.objects.update(max_parallel=1)
    first, second = running(source_connection=erp), running(source_connection=erp)
    with pytest.raises(StopWaiting):
        waited_for(second, monkeypatch)
    first.finish_success()
    commit, failures = BaseDatabaseWrapper.commit, iter([OperationalError("the server closed the connection")])

    def fail_once(self: BaseDatabaseWrapper) -> None:
        if error := next(failures, None):
            raise error
        commit(self)

    monkeypatch.setattr(BaseDatabaseWrapper, "commit", fail_once)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    wait_for_turn(second, print)
    assert next(failures, None) is None
    assert Run.objects.get(pk=second.pk).waits_for is None


def test_runs_of_other_connections_dry_runs_and_dead_runs_are_not_waited_for(
    erp: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    Connection.objects.update(max_parallel=1)
    running()
    RunFactory.create(module=ModuleFactory.create(source_connection=erp), dry_run=True)
    dead = running(source_connection=erp)
    Run.objects.filter(pk=dead.pk).update(process_started=1)
    stuck = RunFactory.create(module=ModuleFactory.create(source_connection=erp))
    Run.objects.filter(pk=stuck.pk).update(created_at=timezone.now() - dt.timedelta(days=1))
    assert waited_for(running(source_connection=erp), monkeypatch) == []


def test_a_dry_run_does_not_wait(erp: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    Connection.objects.update(max_parallel=1)
    running(source_connection=erp)
    dry: Run = RunFactory.create(module=ModuleFactory.create(source_connection=erp), dry_run=True)
    assert waited_for(dry, monkeypatch) == []


def test_a_run_without_earlier_ones_takes_one_query(erp: Connection, django_assert_num_queries: Any) -> None:
    run = running(source_connection=erp)
    with django_assert_num_queries(1):
        wait_for_turn(run, print)


@pytest.mark.matrix
@pytest.mark.django_db(transaction=True)
def test_concurrent_runs_never_exceed_a_limit_and_all_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limit, "_POLL_SECONDS", 0.01)
    limits = {"a": 1, "b": 2, "c": 2, "d": 3}
    connections = [ConnectionFactory.create(name=name, max_parallel=limit) for name, limit in limits.items()]
    pairs = random.Random(7).choices(list(itertools.permutations(connections, 2)), k=24)
    runs = [running(source_connection=source, dest_connection=destination) for source, destination in pairs]
    using, most, lock = collections.Counter[str](), collections.Counter[str](), threading.Lock()

    def execute(run: Run) -> None:
        assert run.module is not None
        names = [run.module.source_connection.name, run.module.dest_connection.name]
        try:
            wait_for_turn(run, lambda reason: None)
            with lock:
                using.update(names)
                most.update({name: using[name] - most[name] for name in names if using[name] > most[name]})
            time.sleep(0.2)
            with lock:
                using.subtract(names)
            run.finish_success()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(runs)) as pool:
        list(pool.map(execute, runs))
    assert all(most[name] <= limit for name, limit in limits.items()), most
    assert {run.status for run in Run.objects.all()} == {"success"}
