"""Runs that are retried after a transient error: no attempt publishes a second time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from modules.models import Hook, Module
from runs.lifecycle.cancel import CancelResult, stop_execution
from runs.lifecycle.insert import RunRequest
from runs.lifecycle.launch import launch_run
from runs.models import Run
from runs.models.notification import Notification
from tests.factories import change_settings
from tests.harness.bench import Bench
from tests.harness.blocked_queries import BLOCKING_EXPRESSION, block_queries
from tests.processes.commands import alive, manage, wait_until

# real processes, many of them
pytestmark = pytest.mark.matrix

Save = Callable[..., Module]
QUERY = "SELECT k, v FROM s"


@pytest.fixture
def orders(pg_bench: Bench, save_module: Save, save_connection: Any) -> Module:
    """A module that appends, so that a second publish would show; it is retried within a second."""
    pg_bench.at_source("CREATE TABLE s (k int, v text)", "INSERT INTO s VALUES (1, 'one'), (2, 'two')")
    pg_bench.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.orders (k int, v text)")
    return save_module(
        "orders",
        QUERY,
        source=save_connection(pg_bench.source),
        merge_strategy="append",
        max_retries=3,
        retry_delay=1,
    )


def is_final(run: Run) -> bool:
    run.refresh_from_db()
    return run.is_final


@pytest.mark.parametrize("side", ["source", pytest.param("destination", marks=pytest.mark.matrix)])
def test_a_run_whose_session_is_killed_during_the_transfer_is_retried_and_publishes_once(
    orders: Module, pg_bench: Bench, side: str
) -> None:
    Module.objects.update(source_query=f"SELECT k, v || {BLOCKING_EXPRESSION} AS v FROM s")
    url = getattr(pg_bench, side).url
    with psycopg.connect(url, autocommit=True) as killer, block_queries(pg_bench.source.url):
        run = launch_run(orders, RunRequest(trigger="schedule:1"))

        def kill() -> bool:
            rows = killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'copy %' AND"
                " datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
            ).fetchall()
            return rows == [(True,)]

        wait_until(kill)
    wait_until(lambda: is_final(run))
    assert (run.status, run.attempt, run.inserted) == ("success", 2, 2), run.error
    (failed,) = run.attempts or []
    assert (failed["number"], failed["code"]) == (1, "connection_lost")
    assert 0 <= failed["wait"] <= 1
    assert pg_bench.rows("SELECT k FROM sync.orders ORDER BY 1") == [(1,), (2,)]
    assert "attempt 1 of 4 failed: connection_lost" in run.log_file.read_text()


def test_a_failure_after_the_publish_is_retried_without_publishing_again(orders: Module, pg_bench: Bench) -> None:
    pg_bench.at_destination("CREATE TABLE sync.busy (n int)")
    Hook.objects.create(module=orders, sql="INSERT INTO sync.busy VALUES (1)")
    Hook.objects.create(module=orders, sql="INSERT INTO sync.busy VALUES (9)", run_on="failure")
    destination = orders.dest_connection
    destination.options = {"session": {"lock_timeout": "100ms"}}
    destination.save()
    with psycopg.connect(pg_bench.destination.url) as holder:
        holder.execute("LOCK TABLE sync.busy IN ACCESS EXCLUSIVE MODE")
        run = launch_run(orders, RunRequest(trigger="schedule:1"))
        wait_until(lambda: Run.objects.get(pk=run.pk).attempts)
    wait_until(lambda: is_final(run))
    assert (run.status, run.inserted, run.read) == ("success", 2, 2), run.error
    assert {entry["code"] for entry in run.attempts or []} == {"lock_timeout"}
    assert pg_bench.rows("SELECT k FROM sync.orders ORDER BY 1") == [(1,), (2,)]
    # the hook on failure is not executed for an attempt that is retried
    assert pg_bench.rows("SELECT n FROM sync.busy") == [(1,)]


def test_a_run_whose_statements_exceed_the_server_s_timeout_is_retried_and_its_failure_reported(
    orders: Module, pg_bench: Bench
) -> None:
    change_settings(notification_addresses=["ops@example.com"])
    Module.objects.update(source_query="SELECT k, v || pg_sleep(600)::text AS v FROM s", max_retries=1)
    source = orders.source_connection
    source.options = {"session": {"statement_timeout": "500ms"}}
    source.save()
    run = launch_run(orders, RunRequest(trigger="schedule:1"))
    wait_until(lambda: is_final(run))
    assert (run.status, (run.error or {})["code"], run.attempt) == ("error", "statement_stopped", 2), run.error
    assert Notification.objects.get().run == run
    assert pg_bench.rows("SELECT k FROM sync.orders") == []


def test_a_reboot_during_the_wait_for_the_next_attempt_does_not_block_the_next_run(
    orders: Module, pg_bench: Bench
) -> None:
    Module.objects.update(retry_delay=3000, max_retry_delay=3000)
    pg_bench.at_destination("CREATE TABLE sync.busy (n int)")
    hook = Hook.objects.create(module=orders, sql="SET lock_timeout = '100ms'; LOCK TABLE sync.busy", run_on="before")
    with psycopg.connect(pg_bench.destination.url) as holder:
        holder.execute("LOCK TABLE sync.busy IN ACCESS EXCLUSIVE MODE")
        run = launch_run(orders, RunRequest(trigger="schedule:1"))
        wait_until(lambda: Run.objects.get(pk=run.pk).attempts)
    run.refresh_from_db()
    os.kill(run.pid or 0, signal.SIGKILL)
    wait_until(lambda: not alive(run.pid))
    # after the reboot another process has its pid: this one
    Run.objects.filter(pk=run.pk).update(boot_id="before", pid=os.getpid())
    hook.delete()
    again = launch_run(orders, RunRequest(trigger="schedule:1"))
    wait_until(lambda: is_final(again))
    run.refresh_from_db()
    assert (run.status, (run.error or {})["code"]) == ("error", "lost")
    assert (again.status, again.inserted) == ("success", 2), again.error


@pytest.mark.serial
def test_a_cancel_ends_the_wait_for_the_next_attempt(orders: Module, pg_bench: Bench) -> None:
    Module.objects.update(retry_delay=3000, max_retry_delay=3000)
    pg_bench.at_destination("CREATE TABLE sync.busy (n int)")
    hook = "SET lock_timeout = '100ms'; LOCK TABLE sync.busy"
    Hook.objects.create(module=orders, sql=hook, run_on="before")
    with psycopg.connect(pg_bench.destination.url) as holder:
        holder.execute("LOCK TABLE sync.busy IN ACCESS EXCLUSIVE MODE")
        run = launch_run(orders, RunRequest(trigger="schedule:1"))
        wait_until(lambda: Run.objects.get(pk=run.pk).attempts)
        start = time.monotonic()
        assert stop_execution(run) is CancelResult.CANCELLED
        assert time.monotonic() - start < 5


@pytest.mark.matrix
def test_runmodule_retries_only_with_the_option_retry(orders: Module, pg_bench: Bench, save_connection: Any) -> None:
    closed = replace(pg_bench.destination, url="jdbc:postgresql://127.0.0.1:1/dw", name="closed")
    Module.objects.update(dest_connection=save_connection(closed), max_retries=0)
    once = manage("runmodule", "orders", "--json")
    assert (once.code, once.json["attempts"]) == (1, [])
    start = time.monotonic()
    retried = manage("runmodule", "orders", "--json", "--retry")
    assert (retried.code, retried.json["error"]["code"], retried.json["attempt"]) == (1, "connection_failed", 4)
    assert [entry["wait"] for entry in retried.json["attempts"]] == [1.0, 1.0, 1.0]
    assert time.monotonic() - start > 3
    assert retried.err.count("retrying in 1.0 s") == 3
    assert "attempt 1 of 1, connection try 3 of 4 failed: " in retried.err
    log = Run.objects.get(pk=retried.json["run"]).log_file.read_text()
    assert "attempt 1 of 1, connection try 3 of 4 failed: connection_failed: " in log


def test_a_wrong_password_is_not_retried(
    orders: Module, pg_bench: Bench, save_connection: Any, guarded_url: str
) -> None:
    guarded = replace(pg_bench.destination, url=guarded_url, name="guarded")
    Module.objects.update(dest_connection=save_connection(guarded, username="guarded", password="$DW_PW"))
    done = manage("runmodule", "orders", "--json", "--retry", DW_PW="wrong-pw-1846")
    assert (done.code, done.json["error"]["code"], done.json["attempts"]) == (1, "authentication_failed", [])


def test_a_run_refused_by_a_safety_limit_is_not_retried(orders: Module, pg_bench: Bench) -> None:
    Module.objects.update(merge_strategy="full")
    assert manage("runmodule", "orders", "--quiet").code == 0
    pg_bench.at_source("DELETE FROM s")
    done = manage("runmodule", "orders", "--json", "--retry")
    assert (done.code, done.json["attempts"]) == (8, [])
