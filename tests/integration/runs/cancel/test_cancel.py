"""Cancelling ends the run, jrunner and the sessions of both databases, and leaves the destination unchanged."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connections.models import Connection
from connections.sdk.parameters import ConnectionParameters
from modules.models import Hook, Module
from runs.lifecycle import cancel
from runs.lifecycle.cancel import CancelResult, cancel_execution, stop_execution
from runs.lifecycle.insert import RunRequest
from runs.lifecycle.launch import launch_run
from runs.models import Run
from runs.process import control, identity
from tests.factories import ModuleFactory, RunFactory
from tests.harness.bench import Bench
from tests.processes.commands import alive, backends, is_jrunner, manage, start, wait_until

QUERY = "SELECT k, v FROM s"
Save = Callable[..., Module]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def numbers(pg_bench: Bench) -> Bench:
    """A PostgreSQL source and destination, whose rows a full refresh would replace."""
    pg_bench.at_source("CREATE TABLE s (k int, v text)", "INSERT INTO s VALUES (1, 'new'), (2, 'new')")
    pg_bench.at_destination(
        "CREATE SCHEMA sync", "CREATE TABLE sync.orders (k int, v text)", "INSERT INTO sync.orders VALUES (1, 'old')"
    )
    return pg_bench


@pytest.fixture
def orders(numbers: Bench, save_module: Save, save_connection: Callable[..., Connection]) -> Module:
    return save_module("orders", QUERY, source=save_connection(numbers.source))


def fired(log: Path, fault: str = "sleep") -> bool:
    """Whether the fault has fired."""
    return log.exists() and fault in log.read_text()


def is_final(run: Run) -> bool:
    run.refresh_from_db()
    return run.is_final


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    "point",
    [
        "resolve.started",
        pytest.param("stage.started", marks=pytest.mark.matrix),
        pytest.param("transfer.started", marks=pytest.mark.matrix),
        pytest.param("publish.begun", marks=pytest.mark.matrix),
        "publish.before_commit",
    ],
)
def test_cancelling_at_any_step_before_the_commit_leaves_the_destination_unchanged(
    numbers: Bench, orders: Module, point: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIPEKIT_FAULTS", f"{point}=sleep:600")
    monkeypatch.setenv("PIPEKIT_FAULT_LOG", str(tmp_path / "faults"))
    run = launch_run(orders, RunRequest())
    wait_until(lambda: fired(tmp_path / "faults"))
    started = time.monotonic()
    assert stop_execution(run) is CancelResult.CANCELLED
    assert time.monotonic() - started < 30
    assert (run.status, (run.error or {})["code"]) == ("cancelled", "cancelled")
    wait_until(lambda: not alive(run.pid))
    wait_until(lambda: not backends(numbers.source.url) and not backends(numbers.destination.url))
    assert numbers.rows("SELECT * FROM sync.orders") == [(1, "old")]


def executing(url: str, sql: str) -> list[int]:
    """Return the backends that execute a statement with this text in it."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
            " AND datname = current_database() AND query LIKE %s",
            [f"%{sql}%"],
        ).fetchall()
    return [row[0] for row in rows]


def jrunners(run: Run) -> list[int]:
    """Return the running jrunner processes of the run."""
    run.refresh_from_db()
    descendants = control.descendants(run.pid) if run.pid else []
    return list(filter(is_jrunner, descendants))


def test_cancelling_during_the_transfer_ends_jrunner_and_the_source_query(
    numbers: Bench, save_module: Save, save_connection: Callable[..., Connection]
) -> None:
    slow = "SELECT g AS k, repeat('x', 2000) AS v, pg_sleep(0.005)::text AS s FROM generate_series(1, 100000) AS g"
    run = launch_run(save_module("slow", slow, source=save_connection(numbers.source)), RunRequest())
    # before jrunner starts, the run itself executes the query to learn its columns
    wait_until(lambda: jrunners(run))
    wait_until(lambda: executing(numbers.source.url, "generate_series"))
    processes = jrunners(run)
    assert cancel_execution(run) is CancelResult.REQUESTED
    wait_until(lambda: is_final(run))
    assert run.status == "cancelled"
    wait_until(lambda: not any(map(alive, processes)))
    wait_until(lambda: not backends(numbers.source.url) and not backends(numbers.destination.url))
    assert numbers.rows("SELECT to_regclass('sync.slow')") == [(None,)]


@pytest.mark.matrix
def test_cancelling_a_publish_that_waits_for_a_lock_ends_its_session(numbers: Bench, orders: Module) -> None:
    with psycopg.connect(numbers.destination.url) as holder:
        holder.execute("LOCK TABLE sync.orders IN ACCESS EXCLUSIVE MODE")
        run = launch_run(orders, RunRequest())
        wait_until(lambda: waits_for_lock(numbers.destination.url, holder.info.backend_pid))
        assert stop_execution(run) is CancelResult.CANCELLED
        wait_until(lambda: backends(numbers.destination.url) == 1)
    assert numbers.rows("SELECT * FROM sync.orders") == [(1, "old")]


def waits_for_lock(url: str, holder: int) -> bool:
    """Whether a backend other than the holder waits for a lock."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND pid <> %s", [holder]).fetchall()
    return bool(rows)


@pytest.mark.matrix
def test_a_cancel_after_the_commit_is_too_late_and_the_run_succeeds(
    numbers: Bench, orders: Module, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIPEKIT_FAULTS", "publish.after_commit=sleep:600")
    monkeypatch.setenv("PIPEKIT_FAULT_LOG", str(tmp_path / "faults"))
    run = launch_run(orders, RunRequest())
    wait_until(lambda: fired(tmp_path / "faults"))
    done = manage("cancelrun", str(run.pk))
    assert (done.code, done.out.strip()) == (1, f"run {run.pk}: too late, published"), done.err
    assert is_final(run)
    assert (run.status, run.inserted, run.error) == ("success", 2, None)
    assert "too late" in run.warnings[-1]
    assert numbers.rows("SELECT k, v FROM sync.orders ORDER BY 1") == [(1, "new"), (2, "new")]


@pytest.mark.matrix
def test_cancelling_during_a_hook_after_the_commit_stops_the_hook_and_keeps_the_rows(
    numbers: Bench, orders: Module
) -> None:
    Hook.objects.create(module=orders, sql="SELECT pg_sleep(600)")
    run = launch_run(orders, RunRequest())
    wait_until(lambda: executing(numbers.destination.url, "pg_sleep"))
    wait_until(lambda: Run.objects.get(pk=run.pk).published_at)
    assert cancel_execution(run) is CancelResult.TOO_LATE
    wait_until(lambda: is_final(run))
    assert (run.status, run.inserted) == ("success", 2)
    wait_until(lambda: not backends(numbers.destination.url))


@pytest.mark.matrix
def test_cancelling_during_a_hook_before_the_transfer_stops_the_hook(numbers: Bench, orders: Module) -> None:
    Hook.objects.create(module=orders, sql="SELECT pg_sleep(600)", run_on="before")
    run = launch_run(orders, RunRequest())
    wait_until(lambda: executing(numbers.destination.url, "pg_sleep"))
    assert stop_execution(run) is CancelResult.CANCELLED
    wait_until(lambda: not backends(numbers.destination.url))
    assert numbers.rows("SELECT * FROM sync.orders") == [(1, "old")]


@pytest.mark.matrix
def test_a_run_that_waits_for_its_turn_ends_when_it_is_cancelled(numbers: Bench, orders: Module) -> None:
    Connection.objects.update(max_parallel=1)
    earlier = RunFactory.create(module=ModuleFactory.create(source_connection=orders.source_connection))
    earlier.start(**identity.current().as_fields())
    run = launch_run(orders, RunRequest())
    wait_until(lambda: run.log_file.exists() and "whose max_parallel is 1" in run.log_file.read_text())
    started = time.monotonic()
    assert stop_execution(run) is CancelResult.CANCELLED
    assert time.monotonic() - started < 10
    assert numbers.rows("SELECT * FROM sync.orders") == [(1, "old")]


@pytest.mark.matrix
def test_a_run_started_on_a_terminal_can_be_cancelled_too(numbers: Bench, orders: Module, tmp_path: Path) -> None:
    faults = {"PIPEKIT_FAULTS": "publish.before_commit=sleep:600", "PIPEKIT_FAULT_LOG": str(tmp_path / "faults")}
    process = start("runmodule", "orders", "--json", **faults)
    wait_until(lambda: fired(tmp_path / "faults"))
    run = Run.objects.get()
    done = manage("cancelrun", str(run.pk))
    assert (done.code, done.out.strip()) == (0, f"run {run.pk}: cancelled"), done.err
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert '"status": "cancelled"' in out


@pytest.mark.matrix
def test_a_process_that_ignores_the_cancel_is_killed_and_its_run_finalized(
    numbers: Bench, orders: Module, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cancel, "_TERMINATE", 1.0)
    monkeypatch.setattr(cancel, "_KILL", 2.0)
    monkeypatch.setattr(cancel, "_KILL_DESCENDANTS", 3.0)
    monkeypatch.setenv("PIPEKIT_FAULT_LOG", str(tmp_path / "faults"))
    monkeypatch.setenv("PIPEKIT_FAULTS", "publish.begun=stop")
    run = launch_run(orders, RunRequest())
    wait_until(lambda: fired(tmp_path / "faults", "stop"))
    run.refresh_from_db()
    assert stop_execution(run) is CancelResult.CANCELLED
    assert "cancel: still running; kill" in run.log_file.read_text()
    assert not alive(run.pid)
    wait_until(lambda: not backends(numbers.destination.url))
    assert numbers.rows("SELECT * FROM sync.orders") == [(1, "old")]


@pytest.mark.matrix
def test_cancelling_a_run_into_duckdb_leaves_the_file_unchanged(
    numbers: Bench, save_module: Save, save_connection: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPEKIT_FAULT_LOG", str(tmp_path / "faults"))
    file = ConnectionParameters(
        kind="duckdb", url=f"jdbc:duckdb:{tmp_path / 'dw.duckdb'}", options={"create": True}, name="lake"
    )
    duckdb = Bench(numbers.source, file)
    save_module("ducks", QUERY, source=save_connection(numbers.source), destination=save_connection(file))
    assert manage("runmodule", "ducks", "--quiet").code == 0
    numbers.at_source("UPDATE s SET v = 'newer'")
    monkeypatch.setenv("PIPEKIT_FAULTS", "publish.before_commit=sleep:600")
    run = launch_run(Module.objects.get(name="ducks"), RunRequest())
    wait_until(lambda: fired(tmp_path / "faults"))
    assert stop_execution(run) is CancelResult.CANCELLED
    assert duckdb.rows("SELECT DISTINCT v FROM sync.ducks") == [("new",)]
