"""The strategies with DuckDB and SQLite as destinations."""

from __future__ import annotations

from pathlib import Path

import pytest

from connections.sdk.errors import PipekitError, Refused
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from runs.engine import events
from runs.engine.plan import Strategy
from tests.harness.bench import Bench

# each run starts processes
pytestmark = pytest.mark.matrix

QUERY = "SELECT k, v, n, ts FROM s"


@pytest.fixture(params=["sqlite", "duckdb"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> ConnectionParameters:
    kind = str(request.param)
    path = tmp_path / f"target.{kind}"
    return ConnectionParameters(kind=kind, url=f"jdbc:{kind}:{path}", options={"create": True}, name="target")


@pytest.fixture(params=["postgresql", "sqlite"])
def lake(
    request: pytest.FixtureRequest, shop: ConnectionParameters, erp: ConnectionParameters, target: ConnectionParameters
) -> Bench:
    bench = Bench(shop if request.param == "postgresql" else erp, target)
    bench.at_source(
        "CREATE TABLE s (k integer, v text, n numeric(12,2), ts timestamp)",
        "INSERT INTO s VALUES (1, 'a', 1.50, '2026-01-01 00:00:00'), (2, '', NULL, '2026-01-02 00:00:00.000001')",
    )
    return bench


def rows(bench: Bench) -> list[tuple[object, ...]]:
    table = bench_table(bench)
    return bench.rows(f"SELECT k, v, CAST(CAST(n AS DOUBLE) AS VARCHAR(20)), CAST(ts AS TEXT) FROM {table} ORDER BY k")


def bench_table(bench: Bench) -> str:
    return '"sync.t"' if bench.destination.kind == "sqlite" else "sync.t"


@pytest.mark.parametrize("strategy", list(Strategy))
def test_each_strategy_has_the_expected_rows_after_two_runs(lake: Bench, strategy: Strategy) -> None:
    key = ("k",) if strategy in (Strategy.INCREMENTAL, Strategy.UPSERT) else ()
    watermark = "" if strategy is Strategy.FULL else "ts"
    plan = lake.plan(QUERY, strategy=strategy, merge_key=key, watermark=watermark)
    assert lake.run(plan).counts == (2, 0, 0)
    lake.at_source("INSERT INTO s VALUES (3, 'c', 3, '2026-01-03 00:00:00')")
    counts = lake.run(plan).counts
    expected = {
        Strategy.FULL: (3, 0, 2),
        Strategy.INCREMENTAL: (1, 1, 0),
        Strategy.UPSERT: (1, 1, 0),
        Strategy.APPEND: (1, 0, 0),
    }
    assert counts == expected[strategy]
    assert rows(lake) == [
        (1, "a", "1.5", "2026-01-01 00:00:00"),
        (2, "", None, "2026-01-02 00:00:00.000001"),
        (3, "c", "3.0", "2026-01-03 00:00:00"),
    ]


def test_a_failed_run_leaves_the_destination_unchanged(lake: Bench) -> None:
    lake.run(lake.plan(QUERY))
    before = rows(lake)
    lake.at_source("DELETE FROM s")
    with pytest.raises(Refused):
        lake.run(lake.plan(QUERY))
    with pytest.raises(PipekitError):
        lake.run(lake.plan("SELECT k, v, n, ts FROM gone"))
    assert rows(lake) == before


def test_key_sync_deletes_rows_from_a_table_with_a_primary_key(lake: Bench) -> None:
    create = "CREATE TABLE {} (k integer PRIMARY KEY, v text, n decimal(12,2), ts timestamp)"
    if lake.destination.kind == "duckdb":
        lake.at_destination("CREATE SCHEMA sync")
    lake.at_destination(create.format(bench_table(lake)))
    plan = lake.plan(QUERY, strategy=Strategy.UPSERT, merge_key=("k",), key_sync=True, force=True)
    assert lake.run(plan).counts == (2, 0, 0)
    lake.at_source("DELETE FROM s WHERE k = 1", "UPDATE s SET v = 'new'")
    result = lake.run(plan)
    assert result.counts == (0, 1, 0)
    assert result.last(events.Reconciled).deleted == 1
    assert lake.rows(f"SELECT k, v FROM {bench_table(lake)}") == [(2, "new")]


def test_a_table_in_the_main_schema_of_sqlite_has_no_prefix(erp: ConnectionParameters, tmp_path: Path) -> None:
    url = f"jdbc:sqlite:{tmp_path / 'target.db'}"
    bench = Bench(erp, ConnectionParameters(kind="sqlite", url=url, options={"create": True}, name="target"))
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (7)")
    bench.run(bench.plan("SELECT k FROM s", dest_table=TableName("main", "t")))
    assert bench.rows("SELECT k FROM t") == [(7,)]
