"""Tests of lock waits: runs and verifications that wait for a locked table or file report it."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable

import psycopg
import pytest

from connections.sdk.parameters import ConnectionParameters
from modules.models import Module
from runs.engine.jrunner_output import ProgressTimer
from runs.jrunner.protocol import WaitingMessage
from runs.models import Run, Verification
from tests.harness.bench import Bench
from tests.processes.commands import resume_when_stopped, start, stopped, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def _log(kind: type[Run | Verification] = Run) -> str:
    """Return the log of the latest run or verification."""
    run = kind._default_manager.order_by("pk").last()
    return run.log_file.read_text() if run and run.log_file.exists() else ""


def _finish(process: subprocess.Popen[str]) -> str:
    """Wait until the process has succeeded; return its stderr."""
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return err


@pytest.mark.matrix
def test_a_run_that_waits_for_a_lock_names_the_table_and_the_holder_in_log_and_output(
    bench: Bench, save_module: Callable[..., Module]
) -> None:
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1)")
    bench.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.orders (k bigint)")
    save_module("orders", "SELECT k FROM s")
    with psycopg.connect(bench.destination.url, application_name="nightly report") as other:
        other.execute("LOCK TABLE sync.orders IN SHARE MODE")
        process = start("runmodule", "orders")
        wait_until(lambda: "waiting for a lock on sync.orders" in _log())
        assert "(nightly report, user" in _log()
    assert "  waiting for a lock on sync.orders" in _finish(process)


@pytest.mark.matrix
def test_a_verification_that_waits_for_a_lock_names_the_table_and_the_holder(
    bench: Bench, save_module: Callable[..., Module]
) -> None:
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1)")
    bench.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.orders (k bigint)")
    save_module("orders", "SELECT k FROM s", merge_strategy="upsert", merge_key="k")
    with psycopg.connect(bench.destination.url, application_name="nightly report") as other:
        other.execute("LOCK TABLE sync.orders IN ACCESS EXCLUSIVE MODE")
        process = start("verifymodule", "orders")
        wait_until(lambda: "waiting for a lock on sync.orders" in _log(Verification))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 5, err
    assert "waiting for a lock on sync.orders" in err
    assert "(nightly report, user" in err


@pytest.mark.matrix
def test_a_transfer_that_waits_for_a_locked_file_logs_it(
    erp: ConnectionParameters,
    warehouse_of: Callable[[str], ConnectionParameters],
    save_connection: Callable[..., object],
    save_module: Callable[..., Module],
) -> None:
    bench = Bench(erp, warehouse_of("sqlite"))
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1)")
    bench.at_destination("CREATE TABLE other (k INTEGER)")
    save_module("orders", "SELECT k FROM s", destination=save_connection(bench.destination))
    process = start("runmodule", "orders", PIPEKIT_FAULTS="transfer.started=stop")
    wait_until(lambda: stopped(process.pid))
    other = sqlite3.connect(bench.destination.url.removeprefix("jdbc:sqlite:"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    resume_when_stopped(process.pid)
    wait_until(lambda: "is writing to it" in _log())
    other.execute("ROLLBACK")
    _finish(process)
    assert bench.rows('SELECT k FROM "sync.orders"') == [(1,)]


def test_waiting_for_a_lock_does_not_restart_the_no_progress_timeout() -> None:
    timer = ProgressTimer(60)
    timer._last_progress -= 50
    timer.on_message(WaitingMessage(message="waiting for a lock"))
    left = timer.remaining()
    assert left is not None
    assert left < 11
