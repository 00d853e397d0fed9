"""First runs: control tables, schemas, privileges, hooks and staging."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from connections.sdk.errors import PipekitError
from connections.sdk.schema import TableName
from runs.engine.plan import FullPublish, Hook, RunOn
from tests.harness.bench import Bench, Result
from tests.integration.engine.publish.numbers import QUERY
from tests.processes.commands import wait_until

pytestmark = pytest.mark.usefixtures("transfer_in_process")


def test_staging_is_kept_for_debugging_and_emptied_by_the_next_run(numbers: Bench) -> None:
    # a table that exists, and is not exchanged
    numbers.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.t (k int, v text)")
    plan = numbers.plan(QUERY, full_publish=FullPublish.TRUNCATE)
    numbers.run(plan)
    assert numbers.rows("SELECT count(*) FROM pipekit_staging.m") == [(100,)]
    assert numbers.rows("SELECT relpersistence::text FROM pg_class WHERE oid = 'pipekit_staging.m'::regclass") == [
        ("u",)
    ]
    numbers.at_source("DELETE FROM s WHERE k > 60")
    numbers.run(plan)
    assert numbers.rows("SELECT count(*) FROM pipekit_staging.m") == [(60,)]


def test_staging_is_recreated_when_the_columns_change(numbers: Bench) -> None:
    numbers.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.t (k int, v text, twice int)")
    numbers.run(numbers.plan(QUERY, full_publish=FullPublish.TRUNCATE))
    numbers.run(numbers.plan("SELECT k, v, k * 2 AS twice FROM s", full_publish=FullPublish.TRUNCATE))
    assert numbers.rows("SELECT sum(twice) FROM pipekit_staging.m") == [(10100,)]


def test_hooks_are_executed_in_order_at_their_events(numbers: Bench) -> None:
    numbers.at_destination("CREATE TABLE log (n serial, what text)")

    def hook(run_on: RunOn) -> Hook:
        return Hook(
            sql=f"INSERT INTO log (what) VALUES ('{run_on}, 100%')", run_on=run_on, connection=numbers.destination
        )

    hooks = tuple(hook(run_on) for run_on in RunOn)
    numbers.run(numbers.plan(QUERY, hooks=hooks))
    assert numbers.rows("SELECT what FROM log ORDER BY n") == [("before, 100%",), ("success, 100%",), ("always, 100%",)]
    numbers.at_destination("TRUNCATE log")
    with pytest.raises(PipekitError):
        numbers.run(numbers.plan("SELECT k, v FROM gone", hooks=hooks))
    assert numbers.rows("SELECT what FROM log ORDER BY n") == [("before, 100%",), ("failure, 100%",), ("always, 100%",)]


def test_a_failing_hook_fails_the_run_or_causes_a_warning_as_configured(numbers: Bench) -> None:
    hook = Hook(sql="SELECT 1/0", run_on=RunOn.SUCCESS, connection=numbers.destination)
    with pytest.raises(PipekitError, match=r"Hook 1 \(success\) failed; the rows are published: .*division by zero"):
        numbers.run(numbers.plan(QUERY, hooks=(hook,)))
    # the rows are published nevertheless
    assert numbers.rows("SELECT count(*) FROM sync.t") == [(100,)]
    result = numbers.run(numbers.plan(QUERY, hooks=(replace(hook, must_succeed=False),)))
    assert "division by zero" in result.warnings[0]


@pytest.mark.matrix
def test_the_control_tables_are_created_once_by_concurrent_runs(numbers: Bench) -> None:
    modules = [f"m{number}" for number in range(4)]
    plans = [numbers.plan(QUERY, module=name, dest_table=TableName("sync", name)) for name in modules]
    # each run starts with an empty database
    with ThreadPoolExecutor(len(plans)) as pool:
        results = list(pool.map(numbers.run, plans))
    assert [result.counts for result in results] == [(100, 0, 0)] * 4
    assert numbers.rows(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = 'pipekit_staging' AND starts_with(table_name, 'pipekit_') ORDER BY 1"
    ) == [("pipekit_claims",), ("pipekit_commits",), ("pipekit_exchanges",)]
    assert numbers.rows("SELECT module FROM pipekit_staging.pipekit_claims ORDER BY 1") == [(name,) for name in modules]
    assert numbers.rows("SELECT module FROM pipekit_staging.pipekit_commits ORDER BY 1") == [
        (name,) for name in modules
    ]


def test_two_first_runs_that_create_the_same_schema_both_publish(numbers: Bench) -> None:
    results: list[Result] = []
    with psycopg.connect(numbers.destination.url) as other:
        other.execute("CREATE SCHEMA sync")
        running = threading.Thread(target=lambda: results.append(numbers.run(numbers.plan(QUERY))))
        running.start()
        # the run does not see the schema, and cannot create it before this transaction ends
        wait_until(lambda: is_blocking(other))
        other.commit()
    running.join(120)
    assert [result.counts for result in results] == [(100, 0, 0)]


def is_blocking(other: psycopg.Connection) -> bool:
    pid = other.info.backend_pid
    rows = other.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND %s = ANY(pg_blocking_pids(pid))", (pid,))
    return bool(rows.fetchall())


def test_a_user_with_privileges_in_two_schemas_only_can_run_a_sync(numbers: Bench, database_url: str) -> None:
    numbers.at_destination(
        "CREATE ROLE narrow LOGIN",
        "CREATE SCHEMA sync",
        "CREATE SCHEMA pipekit_staging",
        "GRANT ALL ON SCHEMA sync, pipekit_staging TO narrow",
    )
    try:
        narrow = replace(numbers.destination, username="narrow")
        result = numbers.run(numbers.plan(QUERY, destination=narrow))
        assert result.counts == (100, 0, 0)
        assert numbers.run(numbers.plan(QUERY, destination=narrow)).counts == (100, 0, 100)
    finally:
        numbers.at_destination("DROP OWNED BY narrow", "DROP ROLE narrow")
