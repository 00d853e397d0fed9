"""A run that waits for a lock in its publish, or for a file in its transfer, says so; so does a verification."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable

import psycopg
import pytest

from connections.sdk.parameters import ConnectionParameters
from modules.models import Module
from runs.engine.jrunner_protocol import IdleTimer
from runs.models import Run, Verification
from tests.benches.bench import Bench
from tests.processes.commands import go_on, start, stopped, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def _log(kind: type[Run | Verification] = Run) -> str:
    run = kind._default_manager.order_by("pk").last()
    return run.log_file.read_text() if run and run.log_file.exists() else ""


def _ended(running: subprocess.Popen[str]) -> str:
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors
    return errors


@pytest.mark.matrix
def test_a_locked_table_is_named_in_the_log_and_on_the_terminal(
    bench: Bench, save_module: Callable[..., Module]
) -> None:
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1)")
    bench.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.orders (k bigint)")
    save_module("orders", "SELECT k FROM s")
    with psycopg.connect(bench.destination.url, application_name="nightly report") as other:
        other.execute("LOCK TABLE sync.orders IN SHARE MODE")
        running = start("runmodule", "orders")
        wait_until(lambda: "waiting for a lock on sync.orders" in _log())
        assert "(nightly report, user" in _log()
    assert "  waiting for a lock on sync.orders" in _ended(running)


@pytest.mark.matrix
def test_a_verification_that_waits_for_a_locked_table_says_so(bench: Bench, save_module: Callable[..., Module]) -> None:
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1)")
    bench.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.orders (k bigint)")
    save_module("orders", "SELECT k FROM s", merge_strategy="upsert", merge_key="k")
    with psycopg.connect(bench.destination.url, application_name="nightly report") as other:
        other.execute("LOCK TABLE sync.orders IN ACCESS EXCLUSIVE MODE")
        running = start("verifymodule", "orders")
        wait_until(lambda: "waiting for a lock on sync.orders" in _log(Verification))
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 5, errors
    assert "waiting for a lock on sync.orders" in errors
    assert "(nightly report, user" in errors


@pytest.mark.matrix
def test_a_file_locked_during_the_transfer_is_named_in_the_log(
    erp: ConnectionParameters,
    warehouse_of: Callable[[str], ConnectionParameters],
    save_connection: Callable[..., object],
    save_module: Callable[..., Module],
) -> None:
    bench = Bench(erp, warehouse_of("sqlite"))
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1)")
    bench.at_destination("CREATE TABLE other (k INTEGER)")
    save_module("orders", "SELECT k FROM s", destination=save_connection(bench.destination))
    running = start("runmodule", "orders", PIPEKIT_FAULTS="transfer.started=stop")
    wait_until(lambda: stopped(running.pid))
    other = sqlite3.connect(bench.destination.url.removeprefix("jdbc:sqlite:"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    go_on(running.pid)
    wait_until(lambda: "is writing to it" in _log())
    other.execute("ROLLBACK")
    _ended(running)
    assert bench.rows('SELECT k FROM "sync.orders"') == [(1,)]


def test_waiting_for_a_lock_is_no_progress() -> None:
    timer = IdleTimer(60)
    timer._last_progress -= 50
    timer.on_message({"event": "waiting", "message": "waiting for a lock"})
    left = timer.remaining()
    assert left is not None
    assert left < 11
