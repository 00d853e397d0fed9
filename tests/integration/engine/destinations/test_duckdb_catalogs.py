"""DuckDB databases, whose catalog is named after the file: any file name works as a source and as a destination."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from connections.connectors.duckdb.dialect import catalog_name
from connections.sdk.errors import QueryInvalid
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from runs.engine import events
from runs.engine.plan import Strategy
from tests.harness.bench import Bench
from tests.harness.matrix import first_by_default

pytestmark = pytest.mark.usefixtures("transfer_in_process")

AMBIGUOUS = ["sync.duckdb", "SYNC.db", "pipekit_staging.duckdb"]
OTHERS = [
    *("main.duckdb", "MAIN.duckdb", "temp.db", "system.db", "memory.db", "information_schema.duckdb", "pg_catalog.db"),
    *(
        "a.b.duckdb",
        "sync",
        ".sync.db",
        "..sync",
        "my sync.db",
        "ünï.db",
        "123.db",
        "it's.db",
        "a-b.duckdb",
        "select.db",
    ),
]


def _file(directory: Path, name: str) -> ConnectionParameters:
    url = f"jdbc:duckdb:{directory / name}"
    return ConnectionParameters(kind="duckdb", url=url, options={"create": True}, name="lake")


def _bench(source: ConnectionParameters, directory: Path, name: str) -> Bench:
    bench = Bench(source, _file(directory, name))
    bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'a'), (2, 'b')")
    return bench


@pytest.mark.default_cases(11)
@pytest.mark.parametrize("name", [*AMBIGUOUS, *OTHERS])
def test_catalog_name_is_the_name_that_duckdb_uses(tmp_path: Path, name: str) -> None:
    with duckdb.connect(str(tmp_path / name)) as connection:
        assert connection.execute("SELECT current_database()").fetchall() == [(catalog_name(str(tmp_path / name)),)]


@pytest.mark.matrix
@pytest.mark.parametrize("name", first_by_default(AMBIGUOUS))
def test_a_file_named_like_a_schema_works_as_a_destination(
    erp: ConnectionParameters, tmp_path: Path, name: str
) -> None:
    bench = _bench(erp, tmp_path, name)
    plan = bench.plan("SELECT k, v FROM s", strategy=Strategy.UPSERT, merge_key=("k",), key_sync=True, force=True)
    assert bench.run(plan).counts == (2, 0, 0)
    bench.at_source("UPDATE s SET v = 'new' WHERE k = 1", "DELETE FROM s WHERE k = 2")
    result = bench.run(plan)
    assert result.counts == (0, 1, 0)
    assert result.last(events.Reconciled).deleted == 1
    catalog = catalog_name(str(tmp_path / name))
    assert bench.rows(f'SELECT k, v FROM "{catalog}".sync.t') == [(1, "new")]


@pytest.mark.matrix
@pytest.mark.parametrize("strategy", [Strategy.APPEND, Strategy.INCREMENTAL])
@pytest.mark.parametrize("schema", ["sync", "main", "temp", "memory", ""])
@pytest.mark.parametrize("name", ["SYNC.db", "main.db", "temp.db", "memory.db"])
def test_strategies_fill_any_schema_of_a_file_of_any_name(
    erp: ConnectionParameters, tmp_path: Path, name: str, schema: str, strategy: Strategy
) -> None:
    bench = _bench(erp, tmp_path, name)
    key = ("k",) if strategy in (Strategy.INCREMENTAL, Strategy.UPSERT) else ()
    watermark = "" if strategy is Strategy.FULL else "k"
    table = TableName(schema, "t")
    plan = bench.plan("SELECT k, v FROM s", strategy=strategy, merge_key=key, watermark=watermark, dest_table=table)
    assert bench.run(plan).counts == (2, 0, 0)
    bench.at_source("INSERT INTO s VALUES (3, 'c')")
    bench.run(plan)
    place = f'"{catalog_name(str(tmp_path / name))}"."{schema or "main"}"."t"'
    assert bench.rows(f"SELECT k, v FROM {place} ORDER BY k") == [(1, "a"), (2, "b"), (3, "c")]


@pytest.mark.parametrize("name", first_by_default(["sync.db", "main.db", "temp.db", "memory.db"]))
def test_a_file_named_like_a_schema_works_as_a_source(
    warehouse: ConnectionParameters, tmp_path: Path, name: str
) -> None:
    bench = Bench(_file(tmp_path, name), warehouse)
    catalog = catalog_name(str(tmp_path / name))
    bench.at_source(
        "CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (7)", f"CREATE SCHEMA {catalog}.sync",
        f"CREATE TABLE {catalog}.sync.s AS SELECT 8 AS k",
    )  # fmt: skip
    for query, value in (("SELECT k FROM s", 7), (f"SELECT k FROM {catalog}.sync.s", 8)):
        bench.run(bench.plan(query))
        assert bench.rows() == [(value,)]


@pytest.mark.matrix
def test_an_ambiguous_name_in_the_query_is_explained_by_a_hint(warehouse: ConnectionParameters, tmp_path: Path) -> None:
    bench = Bench(_file(tmp_path, "sync.db"), warehouse)
    bench.at_source("CREATE SCHEMA sync", "CREATE TABLE sync.sync.s AS SELECT 8 AS k")
    with pytest.raises(QueryInvalid) as caught:
        bench.run(bench.plan("SELECT k FROM sync.s"))
    assert "file.schema.table" in caught.value.hint
