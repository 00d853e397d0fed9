"""What can pass by itself is tried again, nothing else is; and what was published once is not published twice."""

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
from runs.engine.retry import Budget, Policy
from runs.lifecycle import cancel
from runs.lifecycle.cancel import CancelResult
from runs.lifecycle.claim import Request
from runs.lifecycle.launch import launch
from runs.models import Run, Setting
from runs.models.notification import Notification
from tests.benches.bench import Bench
from tests.benches.gates import GATE, closed_gate
from tests.processes.commands import alive, manage, wait_until

# real processes, many of them
pytestmark = pytest.mark.matrix

Save = Callable[..., Module]
QUERY = "SELECT k, v FROM s"


def test_waits_double_up_to_the_cap_and_are_random_below_it() -> None:
    policy = Policy(delay=5, max_delay=900)
    for retry, bound in ((1, 5), (2, 10), (3, 20), (8, 640), (9, 900), (500, 900)):
        waits = [policy.wait(retry) for _ in range(300)]
        assert 0 <= min(waits) < bound * 0.2
        assert bound * 0.8 < max(waits) <= bound
    assert max(replace(policy, exponential=False).wait(9) for _ in range(300)) <= 5


# every error there is, and whether a run that failed by it is tried again
AGAIN = {
    "connection_failed": "the server may come back",
    "connection_lost": "it was reset, or the server restarted",
    "no_progress": "the wire froze",
    "lock_timeout": "who holds the lock will let go",
    "serialization_failed": "somebody else was first, or a deadlock chose this one",
    "statement_stopped": "the server was slow, or somebody there ended it",
    "transient": "what a connector says may pass",
    "lost": "the commit record is asked first",
}
NEVER = {
    "already_running": "the next slot comes anyway",
    "authentication_failed": "it would lock the account",
    "cancelled": "somebody wanted that",
    "column_missing": "the configuration",
    "column_unmapped": "the configuration",
    "configuration": "the configuration",
    "configuration_invalid": "the configuration",
    "count_mismatch": "it would hide what is wrong",
    "data": "the data",
    "database_missing": "the configuration",
    "disk_full": "somebody must make room",
    "driver_missing": "the configuration",
    "duplicate_keys": "the data",
    "external_failed": "what the other program did is not known",
    "internal": "our bug",
    "not_supported": "the configuration",
    "null_keys": "the data",
    "overtaken": "the later run does it",
    "permission_denied": "a grant is missing",
    "protected": "somebody must give this process the key, or the right",
    "query_invalid": "the SQL",
    "safety_limit": "somebody must look",
    "secret_missing": "the configuration",
    "table_missing": "the configuration",
    "token_unknown": "the configuration",
    "url_invalid": "the configuration",
    "value_misfit": "the data",
}


def kinds(base: type[errors.PipekitError]) -> Iterator[type[errors.PipekitError]]:
    for child in base.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from kinds(child)


def test_every_error_is_classed_and_only_what_can_pass_is_tried_again() -> None:
    found = {kind.code: kind for kind in kinds(errors.PipekitError)}
    assert set(found) == {*AGAIN, *NEVER}
    tried_again = {code for code, kind in found.items() if Budget(Policy()).spend(kind("it failed")) is not None}
    assert tried_again == set(AGAIN)


@pytest.mark.parametrize(
    ("state", "again"),
    [
        *[(state, True) for state in ("08006", "57P01", "57P03", "53300", "40001", "40P01", "55P03", "57014")],
        *[(state, False) for state in ("28P01", "42501", "42601", "42P01", "22003", "23505", "53100", "3D000")],
    ],
)
def test_what_postgresql_says_is_classed_by_its_code(state: str, again: bool) -> None:
    class Said(psycopg.DatabaseError):
        sqlstate = state

    assert from_psycopg(Said("it failed"), name="dw").retryable is again


def test_there_are_so_many_retries_and_connects_are_apart() -> None:
    budget = Budget(Policy(max_retries=2))
    lost, unreachable = errors.ConnectionLost("gone"), errors.ConnectionFailed("closed")
    assert [budget.spend(unreachable) for _ in range(3)] == [(1.0, True)] * 3
    assert [(budget.spend(lost) or (0, True))[1] for _ in range(2)] == [False, False]
    assert budget.spend(lost) is None


def test_no_retry_begins_after_the_time_is_over() -> None:
    budget = Budget(Policy(timeout=0))
    assert budget.spend(errors.ConnectionLost("gone")) is None


@pytest.fixture
def orders(pg_bench: Bench, save_module: Save, save_connection: Any) -> Module:
    """An append, which any second publish would double; a retry comes within a second."""
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


def over(run: Run) -> bool:
    run.refresh_from_db()
    return run.is_final


@pytest.mark.parametrize("side", ["source", pytest.param("destination", marks=pytest.mark.matrix)])
def test_a_session_that_is_killed_in_the_transfer_is_tried_again_and_publishes_once(
    orders: Module, pg_bench: Bench, side: str
) -> None:
    Module.objects.update(source_query=f"SELECT k, v || {GATE} AS v FROM s")
    url = getattr(pg_bench, side).url
    with psycopg.connect(url, autocommit=True) as killer, closed_gate(pg_bench.source.url):
        run = launch(orders, Request(trigger="schedule:1"))

        def kill() -> bool:
            found = killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'copy %' AND"
                " datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
            ).fetchall()
            return found == [(True,)]

        wait_until(kill)
    wait_until(lambda: over(run))
    assert (run.status, run.attempt, run.inserted) == ("success", 2, 2), run.error
    (failed,) = run.attempts or []
    assert (failed["number"], failed["code"]) == (1, "connection_lost")
    assert 0 <= failed["wait"] <= 1
    assert pg_bench.rows("SELECT k FROM sync.orders ORDER BY 1") == [(1,), (2,)]
    assert "attempt 1 failed: connection_lost" in run.log_file.read_text()


def test_a_failure_after_the_publish_is_tried_again_without_publishing_again(orders: Module, pg_bench: Bench) -> None:
    pg_bench.at_destination("CREATE TABLE sync.busy (n int)")
    Hook.objects.create(module=orders, sql="INSERT INTO sync.busy VALUES (1)")
    Hook.objects.create(module=orders, sql="INSERT INTO sync.busy VALUES (9)", run_on="failure")
    destination = orders.dest_connection
    destination.options = {"session": {"lock_timeout": "100ms"}}
    destination.save()
    with psycopg.connect(pg_bench.destination.url) as holder:
        holder.execute("LOCK TABLE sync.busy IN ACCESS EXCLUSIVE MODE")
        run = launch(orders, Request(trigger="schedule:1"))
        wait_until(lambda: Run.objects.get(pk=run.pk).attempts)
    wait_until(lambda: over(run))
    assert (run.status, run.inserted, run.read) == ("success", 2, 2), run.error
    assert {entry["code"] for entry in run.attempts or []} == {"lock_timeout"}
    assert pg_bench.rows("SELECT k FROM sync.orders ORDER BY 1") == [(1,), (2,)]
    # the failure hook is for runs that failed for good
    assert pg_bench.rows("SELECT n FROM sync.busy") == [(1,)]


def test_a_statement_that_the_server_ends_for_its_time_is_an_error_that_is_tried_again_and_told(
    orders: Module, pg_bench: Bench
) -> None:
    Setting.objects.create(key="notification_addresses", value=["ops@example.com"])
    Module.objects.update(source_query="SELECT k, v || pg_sleep(600)::text AS v FROM s", max_retries=1)
    source = orders.source_connection
    source.options = {"session": {"statement_timeout": "500ms"}}
    source.save()
    run = launch(orders, Request(trigger="schedule:1"))
    wait_until(lambda: over(run))
    assert (run.status, (run.error or {})["code"], run.attempt) == ("error", "statement_stopped", 2), run.error
    assert Notification.objects.get().run == run
    assert pg_bench.rows("SELECT k FROM sync.orders") == []


def test_a_reboot_while_it_waits_for_the_next_attempt_leaves_nothing_that_sticks(
    orders: Module, pg_bench: Bench
) -> None:
    Module.objects.update(retry_delay=3000, max_retry_delay=3000)
    pg_bench.at_destination("CREATE TABLE sync.busy (n int)")
    hook = Hook.objects.create(module=orders, sql="SET lock_timeout = '100ms'; LOCK TABLE sync.busy", run_on="before")
    with psycopg.connect(pg_bench.destination.url) as holder:
        holder.execute("LOCK TABLE sync.busy IN ACCESS EXCLUSIVE MODE")
        run = launch(orders, Request(trigger="schedule:1"))
        wait_until(lambda: Run.objects.get(pk=run.pk).attempts)
    run.refresh_from_db()
    os.kill(run.pid or 0, signal.SIGKILL)
    wait_until(lambda: not alive(run.pid))
    # its pid is somebody else's after the reboot: ours
    Run.objects.filter(pk=run.pk).update(boot_id="before", pid=os.getpid())
    hook.delete()
    again = launch(orders, Request(trigger="schedule:1"))
    wait_until(lambda: over(again))
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
        run = launch(orders, Request(trigger="schedule:1"))
        wait_until(lambda: Run.objects.get(pk=run.pk).attempts)
        began = time.monotonic()
        assert cancel.stop(run) is CancelResult.CANCELLED
        assert time.monotonic() - began < 5


@pytest.mark.matrix
def test_by_hand_nothing_is_tried_again_unless_asked(orders: Module, pg_bench: Bench, save_connection: Any) -> None:
    closed = replace(pg_bench.destination, url="jdbc:postgresql://127.0.0.1:1/dw", name="closed")
    Module.objects.update(dest_connection=save_connection(closed), max_retries=0)
    once = manage("runmodule", "orders", "--json")
    assert (once.code, once.json["attempts"]) == (1, [])
    began = time.monotonic()
    again = manage("runmodule", "orders", "--json", "--retry")
    assert (again.code, again.json["error"]["code"], again.json["attempt"]) == (1, "connection_failed", 4)
    assert [entry["wait"] for entry in again.json["attempts"]] == [1.0, 1.0, 1.0]
    assert time.monotonic() - began > 3
    assert again.err.count("retrying in 1.0 s") == 3


def test_a_wrong_password_is_tried_once(
    orders: Module, pg_bench: Bench, save_connection: Any, guarded_url: str
) -> None:
    guarded = replace(pg_bench.destination, url=guarded_url, name="guarded")
    Module.objects.update(dest_connection=save_connection(guarded, username="guarded", password="$DW_PW"))
    done = manage("runmodule", "orders", "--json", "--retry", DW_PW="wrong-pw-1846")
    assert (done.code, done.json["error"]["code"], done.json["attempts"]) == (1, "authentication_failed", [])


def test_a_safety_limit_is_met_once(orders: Module, pg_bench: Bench) -> None:
    Module.objects.update(merge_strategy="full")
    assert manage("runmodule", "orders", "--quiet").code == 0
    pg_bench.at_source("DELETE FROM s")
    done = manage("runmodule", "orders", "--json", "--retry")
    assert (done.code, done.json["attempts"]) == (8, [])
