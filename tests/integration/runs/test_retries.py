"""Retries: only errors that may pass are retried, with growing waits, and no attempt publishes a second time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from connections.connectors.postgresql.errors.statement import from_psycopg
from connections.sdk import errors
from modules.models import Hook, Module
from runs.engine.retry import Budget
from runs.lifecycle.cancel import CancelResult, stop_execution
from runs.lifecycle.insert import RunRequest
from runs.lifecycle.launch import launch_run
from runs.models import Run
from runs.models.notification import Notification
from tests.factories import change_settings
from tests.harness.bench import Bench, retry_policy
from tests.harness.blocked_queries import BLOCKING_EXPRESSION, block_queries
from tests.processes.commands import alive, manage, wait_until

# real processes, many of them
pytestmark = pytest.mark.matrix

Save = Callable[..., Module]
QUERY = "SELECT k, v FROM s"


def test_waits_are_random_below_a_bound_that_doubles_up_to_the_maximum() -> None:
    policy = retry_policy(delay=5, max_delay=900)
    for retry, bound in ((1, 5), (2, 10), (3, 20), (8, 640), (9, 900), (500, 900)):
        waits = [policy.wait(retry) for _ in range(300)]
        assert 0 <= min(waits) < bound * 0.2
        assert bound * 0.8 < max(waits) <= bound
    assert max(replace(policy, exponential=False).wait(9) for _ in range(300)) <= 5


# every error code, by whether runs that failed with it are retried, and the reason
RETRIED = {
    "connection_failed": "the server may come back",
    "connection_lost": "it was reset, or the server restarted",
    "no_progress": "the connection froze",
    "lock_timeout": "the holder of the lock will release it",
    "serialization_failed": "another transaction was first, or there was a deadlock",
    "statement_stopped": "the server was slow, or a user of it stopped the statement",
    "transient": "the connector reports that it may pass",
    "lost": "the commit record is checked first",
}
NOT_RETRIED = {
    "already_running": "the next slot comes anyway",
    "authentication_failed": "it would lock the account",
    "cancelled": "a user wanted that",
    "column_missing": "the configuration",
    "column_unmapped": "the configuration",
    "configuration": "the configuration",
    "configuration_invalid": "the configuration",
    "count_mismatch": "it would hide a defect",
    "data": "the data",
    "database_missing": "the configuration",
    "disk_full": "an operator must free space",
    "driver_missing": "the configuration",
    "duplicate_keys": "the data",
    "external_failed": "it is unknown what the external program did",
    "internal": "a bug in Pipekit",
    "not_supported": "the configuration",
    "null_keys": "the data",
    "overtaken": "the later run replaces it",
    "permission_denied": "a grant is missing",
    "protected": "this process lacks the key or the permission",
    "query_invalid": "the SQL",
    "safety_limit": "an operator must check it",
    "secret_missing": "the configuration",
    "table_missing": "the configuration",
    "token_unknown": "the configuration",
    "url_invalid": "the configuration",
    "value_misfit": "the data",
}


def subclasses(base: type[errors.PipekitError]) -> Iterator[type[errors.PipekitError]]:
    for child in base.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from subclasses(child)


def test_every_error_is_listed_and_only_those_that_may_pass_are_retried() -> None:
    classes = {cls.code: cls for cls in subclasses(errors.PipekitError)}
    assert set(classes) == {*RETRIED, *NOT_RETRIED}
    retried = {code for code, cls in classes.items() if Budget(retry_policy()).next_retry(cls("it failed")) is not None}
    assert retried == set(RETRIED)


@pytest.mark.parametrize(
    ("state", "retryable"),
    [
        *[(state, True) for state in ("08006", "57P01", "57P03", "53300", "40001", "40P01", "55P03", "57014")],
        *[(state, False) for state in ("28P01", "42501", "42601", "42P01", "22003", "23505", "53100", "3D000")],
    ],
)
def test_the_sqlstate_of_a_postgresql_error_decides_whether_it_is_retried(state: str, retryable: bool) -> None:
    class StatementError(psycopg.DatabaseError):
        sqlstate = state

    assert from_psycopg(StatementError("it failed"), name="dw").retryable is retryable


def test_retries_are_limited_and_failed_connects_are_counted_separately() -> None:
    budget = Budget(retry_policy(max_retries=2))
    lost, unreachable = errors.ConnectionLost("reset"), errors.ConnectionFailed("closed")
    connecting = [budget.next_retry(unreachable) for _ in range(3)]
    assert [retry and (retry.wait, retry.connecting) for retry in connecting] == [(1.0, True)] * 3
    retries = [budget.next_retry(lost) for _ in range(2)]
    assert [retry and retry.connecting for retry in retries] == [False, False]
    assert budget.next_retry(lost) is None


def test_each_attempt_has_four_tries_to_connect_which_are_numbered_within_it() -> None:
    budget, unreachable = Budget(retry_policy(max_retries=1)), errors.ConnectionFailed("closed")
    failures = [budget.next_retry(unreachable) for _ in range(8)]
    assert [retry and (retry.attempt, retry.connection_try, retry.connecting) for retry in failures] == [
        (1, 1, True),
        (1, 2, True),
        (1, 3, True),
        (1, 4, False),
        (2, 1, True),
        (2, 2, True),
        (2, 3, True),
        None,
    ]
    assert budget.next_retry(errors.ConnectionLost("reset")) is None


def test_there_is_no_retry_after_the_timeout() -> None:
    budget = Budget(retry_policy(timeout=0))
    assert budget.next_retry(errors.ConnectionLost("reset")) is None


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
