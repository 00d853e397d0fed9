"""Referencing tables of special kinds: partitions, views, the table itself, other systems."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from connections.connectors.sqlite import driver
from connections.sdk.errors import InvalidValue, Refused
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from runs.engine.plan import FullPublish, Strategy
from tests.harness.bench import Bench
from tests.integration.engine.publish.foreign_keys.invoices import ALL, INVOICES, create_tables, plan_for

pytestmark = pytest.mark.usefixtures("transfer_in_process")


@pytest.mark.matrix
def test_tables_that_reference_the_referencing_table_are_named_too(pg_bench: Bench) -> None:
    create_tables(pg_bench, "ON DELETE CASCADE")
    pg_bench.at_destination("CREATE TABLE sync.line (invoice int REFERENCES sync.invoice ON DELETE CASCADE)")
    with pytest.raises(Refused, match=r"and through them rows of sync\.line"):
        pg_bench.run(plan_for(pg_bench, Strategy.INCREMENTAL))


@pytest.mark.matrix
def test_rows_of_partitions_are_counted_once(pg_bench: Bench) -> None:
    pg_bench.at_source("CREATE TABLE s (id bigint, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'new')")
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id bigint PRIMARY KEY, v text) PARTITION BY RANGE (id)",
        "CREATE TABLE sync.low PARTITION OF sync.t FOR VALUES FROM (0) TO (2)",
        "CREATE TABLE sync.rest PARTITION OF sync.t DEFAULT",
        "INSERT INTO sync.t VALUES (1, 'a'), (2, 'b')",
        "CREATE TABLE sync.invoice (no int, of bigint REFERENCES sync.t ON DELETE CASCADE) PARTITION BY LIST (no)",
        "CREATE TABLE sync.invoices PARTITION OF sync.invoice DEFAULT",
        "INSERT INTO sync.invoice VALUES (100, 1), (101, 2)",
        "CREATE TABLE sync.memo (about bigint REFERENCES sync.low ON DELETE CASCADE)",
        "INSERT INTO sync.memo VALUES (1)",
    )
    with pytest.raises(Refused) as caught:
        pg_bench.run(plan_for(pg_bench, Strategy.INCREMENTAL))
    assert "delete 2 rows of sync.invoice (" in caught.value.message
    assert "delete 1 rows of sync.memo (" in caught.value.message
    assert caught.value.message.count("foreign key") == 2


@pytest.mark.matrix
def test_foreign_keys_are_found_through_a_view(pg_bench: Bench) -> None:
    create_tables(pg_bench, "ON DELETE CASCADE")
    pg_bench.at_destination("CREATE VIEW sync.customers AS SELECT id, v FROM sync.t")
    plan = replace(plan_for(pg_bench, Strategy.INCREMENTAL), dest_table=TableName("sync", "customers"))
    with pytest.raises(Refused, match=r"delete 2 rows of sync\.invoice"):
        pg_bench.run(plan)
    assert pg_bench.rows(INVOICES) == ALL


@pytest.mark.matrix
def test_in_a_table_that_references_itself_only_rows_that_are_not_replaced_count(pg_bench: Bench) -> None:
    pg_bench.at_source("CREATE TABLE s (id bigint, v text)", "INSERT INTO s VALUES (1, 'new')")
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id bigint PRIMARY KEY, v text, boss bigint REFERENCES sync.t ON DELETE CASCADE)",
        "INSERT INTO sync.t VALUES (1, 'a', NULL), (2, 'b', 1)",
    )
    plan = plan_for(pg_bench, Strategy.INCREMENTAL)
    with pytest.raises(Refused, match="delete 1 rows of sync.t "):
        pg_bench.run(plan)
    assert pg_bench.rows("SELECT count(*) FROM sync.t") == [(2,)]
    pg_bench.at_source("INSERT INTO s VALUES (2, 'new')")
    assert pg_bench.run(plan).counts == (0, 2, 0)


@pytest.mark.matrix
def test_a_table_that_references_itself_can_be_refreshed(pg_bench: Bench) -> None:
    pg_bench.at_source("CREATE TABLE s (id bigint, v text)", "INSERT INTO s VALUES (1, 'new')")
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id bigint PRIMARY KEY REFERENCES sync.t ON DELETE CASCADE, v text)",
        "INSERT INTO sync.t VALUES (1, 'a')",
    )
    for method in (FullPublish.TRUNCATE, FullPublish.DELETE):
        plan = replace(plan_for(pg_bench, Strategy.FULL), full_publish=method)
        assert pg_bench.run(plan).counts == (1, 0, 1)


@pytest.mark.matrix
@pytest.mark.parametrize("strategy", [Strategy.FULL, Strategy.INCREMENTAL])
def test_sqlite_does_not_enforce_foreign_keys_so_nothing_cascades(
    erp: ConnectionParameters, tmp_path: Path, strategy: Strategy
) -> None:
    url = f"jdbc:sqlite:{tmp_path / 'target.db'}"
    bench = Bench(erp, ConnectionParameters(kind="sqlite", url=url, options={"create": True}, name="target"))
    bench.at_source("CREATE TABLE s (id bigint, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'new')")
    bench.at_destination(
        'CREATE TABLE "sync.t" (id INTEGER PRIMARY KEY, v TEXT)',
        "INSERT INTO \"sync.t\" VALUES (1, 'a'), (2, 'b')",
        'CREATE TABLE invoice (no INTEGER, customer INTEGER REFERENCES "sync.t" ON DELETE CASCADE)',
        "INSERT INTO invoice VALUES (100, 1), (101, 2)",
    )
    bench.run(plan_for(bench, strategy))
    assert bench.rows("SELECT no, customer FROM invoice ORDER BY 1") == ALL


def test_a_session_turns_foreign_keys_of_sqlite_off(erp: ConnectionParameters, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_with_foreign_keys(path: Path, waits: float) -> sqlite3.Connection:
        # as a build of SQLite does with SQLITE_DEFAULT_FOREIGN_KEYS
        connection = open_file(path, waits)
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    open_file = driver._open
    monkeypatch.setattr(driver, "_open", open_with_foreign_keys)
    bench = Bench(erp, erp)
    bench.at_source(
        "CREATE TABLE t (id INTEGER PRIMARY KEY)",
        "CREATE TABLE child (no INTEGER, customer INTEGER REFERENCES t ON DELETE CASCADE)",
        "INSERT INTO t VALUES (1)",
        "INSERT INTO child VALUES (100, 1)",
        "DELETE FROM t",
    )
    assert bench.rows("SELECT no, customer FROM child") == [(100, 1)]


@pytest.mark.matrix
def test_duckdb_names_the_referencing_rows_and_upsert_updates_the_referenced_ones(
    erp: ConnectionParameters, tmp_path: Path
) -> None:
    url = f"jdbc:duckdb:{tmp_path / 'lake.db'}"
    bench = Bench(erp, ConnectionParameters(kind="duckdb", url=url, options={"create": True}, name="lake"))
    create_tables(bench, "")
    with pytest.raises(InvalidValue) as caught:
        bench.run(plan_for(bench, Strategy.INCREMENTAL))
    assert "Rows of sync.invoice (foreign key " in caught.value.hint
    assert "upsert" in caught.value.hint
    assert bench.run(plan_for(bench, Strategy.UPSERT)).counts == (0, 2, 0)
    assert bench.rows("SELECT v FROM sync.t ORDER BY id") == [("a",), ("new",)]
