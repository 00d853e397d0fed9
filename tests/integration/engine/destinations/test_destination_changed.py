"""A destination that is altered between staging and publishing: no value is rounded or cut, and a retry succeeds."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from connections.sdk.errors import InvalidValue, PipekitError
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from runs.engine import events
from runs.engine.plan import Plan, Strategy
from runs.engine.publish.destination_shape import DestinationChanged
from runs.engine.retry import run_with_retries
from runs.engine.sync import execute_plan
from tests.harness.bench import Bench, retry_policy
from tests.harness.matrix import first_by_default
from tests.processes.commands import wait_until

pytestmark = pytest.mark.usefixtures("transfer_in_process")

QUERY = "SELECT k, n, ts, v, d FROM s"
COLUMNS = "k int, n numeric(10,4), ts timestamp, v varchar(20), d date"
ROW = "(2, 1.2345, '2026-01-02 03:04:05.678901', 'much longer', '2026-01-02')"
ALTERATIONS = {
    "ALTER n TYPE numeric(10,1)": "n of sync.t was numeric(10,4) when the rows were staged, and is numeric(10,1) now",
    "ALTER n TYPE integer": "is integer now",
    "ALTER ts TYPE date": "is date now",
    "ALTER ts TYPE timestamp(0)": "is timestamp(0) without time zone now",
    "ALTER v TYPE varchar(5)": "is character varying(5) now",
    "DROP v": "The column v of sync.t was dropped",
}


def _bench(bench: Bench) -> Bench:
    bench.at_source(f"CREATE TABLE s ({COLUMNS})", f"INSERT INTO s VALUES {ROW}")
    bench.at_destination("CREATE SCHEMA sync", f"CREATE TABLE sync.t ({COLUMNS})", "INSERT INTO sync.t (k) VALUES (1)")
    return bench


def _plan(bench: Bench, strategy: Strategy) -> Plan:
    key = ("k",) if strategy in (Strategy.INCREMENTAL, Strategy.UPSERT) else ()
    return bench.plan(QUERY, strategy=strategy, merge_key=key)


def _run_altered(bench: Bench, plan: Plan, *statements: str) -> None:
    """Execute a run, and alter the destination as soon as the rows are in staging."""
    for event in execute_plan(plan):
        if isinstance(event, events.StepFinished) and event.step == "transfer":
            bench.at_destination(*statements)


@pytest.mark.parametrize("alteration", first_by_default(ALTERATIONS))
def test_no_value_is_rounded_to_the_altered_type(pg_bench: Bench, alteration: str) -> None:
    bench = _bench(pg_bench)
    with pytest.raises(DestinationChanged) as caught:
        _run_altered(bench, _plan(bench, Strategy.FULL), f"ALTER TABLE sync.t {alteration}")
    assert ALTERATIONS[alteration] in caught.value.message
    assert bench.rows("SELECT k FROM sync.t") == [(1,)]


@pytest.mark.matrix
@pytest.mark.parametrize("strategy", [Strategy.INCREMENTAL, Strategy.APPEND, Strategy.UPSERT])
def test_every_strategy_compares_the_table_with_staging_before_it_publishes(
    pg_bench: Bench, strategy: Strategy
) -> None:
    bench = _bench(pg_bench)
    with pytest.raises(DestinationChanged):
        _run_altered(bench, _plan(bench, strategy), "ALTER TABLE sync.t ALTER n TYPE integer")
    assert bench.rows("SELECT k FROM sync.t") == [(1,)]


@pytest.mark.matrix
def test_the_next_attempt_stages_the_rows_for_the_altered_table(pg_bench: Bench) -> None:
    bench = _bench(pg_bench)
    altered = False
    plan = _plan(bench, Strategy.FULL)
    reported: list[events.Event] = []
    for event in run_with_retries(plan, retry_policy(delay=0), must_stop=lambda: False):
        reported.append(event)
        if isinstance(event, events.StepFinished) and event.step == "transfer" and not altered:
            altered = True
            bench.at_destination("ALTER TABLE sync.t ALTER n TYPE numeric(12,6), ALTER v TYPE text")
    (failed,) = (event for event in reported if isinstance(event, events.AttemptFailed))
    assert failed.code == "serialization_failed"
    assert bench.rows("SELECT n::text, v FROM sync.t") == [("1.234500", "much longer")]


@pytest.mark.matrix
def test_a_value_that_does_not_fit_the_altered_type_fails_in_the_transfer(pg_bench: Bench) -> None:
    bench = _bench(pg_bench)
    bench.run(_plan(bench, Strategy.FULL))
    bench.at_destination("ALTER TABLE sync.t ALTER ts TYPE timestamp(0)")
    # the staging table of the last run has the finer type
    with pytest.raises(InvalidValue):
        bench.run(_plan(bench, Strategy.FULL))


@pytest.mark.matrix
def test_a_dropped_table_is_not_recreated_with_the_delta_alone(pg_bench: Bench) -> None:
    bench = _bench(pg_bench)
    plan = replace(_plan(bench, Strategy.UPSERT), watermark="k")
    with pytest.raises(DestinationChanged, match="was dropped after"):
        _run_altered(bench, plan, "DROP TABLE sync.t")
    assert bench.rows("SELECT to_regclass('sync.t')") == [(None,)]


@pytest.mark.matrix
@pytest.mark.parametrize("strategy", [Strategy.FULL, Strategy.APPEND])
def test_the_table_is_not_altered_while_it_is_published(pg_bench: Bench, strategy: Strategy) -> None:
    bench = _bench(pg_bench)
    # the alteration waits for a reader, so that the publish begins before it
    with psycopg.connect(bench.destination.url) as reader:
        reader.execute("SELECT 1 FROM sync.t")
        statement = "ALTER TABLE sync.t ALTER n TYPE integer"
        altering = threading.Thread(target=bench.at_destination, args=(statement,))
        altering.start()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER%'"
        wait_until(lambda: bench.rows(waiting) == [(1,)])
        failures: list[PipekitError] = []

        def publish() -> None:
            try:
                bench.run(_plan(bench, strategy))
            except PipekitError as error:
                failures.append(error)

        running = threading.Thread(target=publish)
        running.start()
        both = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        wait_until(lambda: bench.rows(both) == [(2,)])
        reader.rollback()
    altering.join()
    running.join()
    assert [type(error) for error in failures] in ([DestinationChanged], [InvalidValue])
    assert bench.rows("SELECT k FROM sync.t") == [(1,)]


@pytest.mark.matrix
@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_tables_in_files_are_compared_with_staging_too(erp: ConnectionParameters, tmp_path: Path, kind: str) -> None:
    url = f"jdbc:{kind}:{tmp_path / 'target.db'}"
    bench = Bench(erp, ConnectionParameters(kind=kind, url=url, options={"create": True}, name="target"))
    bench.at_source("CREATE TABLE s (k INTEGER, n DECIMAL(10,4))", "INSERT INTO s VALUES (1, 1.2345)")
    bench.at_destination("CREATE TABLE t (k INTEGER, n DECIMAL(10,4))")
    plan = bench.plan("SELECT k, n FROM s", dest_table=TableName("main", "t"))
    with pytest.raises(DestinationChanged, match="n of main.t was DECIMAL"):
        _run_altered(bench, plan, "DROP TABLE t", "CREATE TABLE t (k INTEGER, n INTEGER)")
    assert bench.rows("SELECT * FROM t") == []
