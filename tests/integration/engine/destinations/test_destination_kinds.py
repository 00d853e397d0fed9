"""Destinations of special kinds, names and columns are filled correctly, or refused before the transfer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from connections.sdk.errors import ConfigurationInvalid, PipekitError, Refused
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from runs.engine import events
from runs.engine.plan import Plan, Strategy
from tests.harness.bench import Bench
from tests.harness.matrix import first_by_default

pytestmark = pytest.mark.usefixtures("transfer_in_process")

QUERY = "SELECT k, v FROM s"
COLUMNS = "k int, v text"
REFUSED = {
    "materialized view": ("CREATE MATERIALIZED VIEW sync.t AS SELECT 1 AS k, 'a'::text AS v", "REFRESH"),
    "view": ("CREATE VIEW sync.t AS SELECT 1 AS k, 'a'::text AS v", "the table below it"),
    "sequence": ("CREATE SEQUENCE sync.t", "another dest_table"),
    "type": ("CREATE TYPE sync.t AS ENUM ('a')", "another dest_table"),
    "index": ("CREATE TABLE sync.x (k int); CREATE INDEX t ON sync.x (k)", "another dest_table"),
}


def _file(kind: str, directory: Path) -> ConnectionParameters:
    url = f"jdbc:{kind}:{directory / 'target.db'}"
    return ConnectionParameters(kind=kind, url=url, options={"create": True}, name="target")


def _source(bench: Bench) -> Bench:
    bench.at_source(f"CREATE TABLE s ({COLUMNS})", "INSERT INTO s VALUES (1, 'a'), (2, 'b')")
    return bench


def _plan(bench: Bench, strategy: Strategy = Strategy.FULL) -> Plan:
    key = ("k",) if strategy in (Strategy.INCREMENTAL, Strategy.UPSERT) else ()
    return bench.plan(QUERY, strategy=strategy, merge_key=key)


def _nothing_staged(bench: Bench) -> bool:
    return not any(isinstance(event, events.Staged) for event in bench.failed.events)


@pytest.mark.parametrize("kind", first_by_default(REFUSED))
@pytest.mark.parametrize("strategy", first_by_default([Strategy.FULL, Strategy.UPSERT]))
def test_a_relation_that_takes_no_rows_is_refused_before_the_transfer(
    bench: Bench, kind: str, strategy: Strategy
) -> None:
    ddl, hint = REFUSED[kind]
    _source(bench).at_destination("CREATE SCHEMA sync", *ddl.split("; "))
    for dry_run in (False, True):
        with pytest.raises(ConfigurationInvalid, match=f"sync.t is (the name of )?an? {kind}") as caught:
            bench.run(replace(_plan(bench, strategy), dry_run=dry_run))
        assert hint in caught.value.hint
        assert _nothing_staged(bench)


@pytest.mark.matrix
@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_view_in_a_file_is_refused_before_the_transfer(erp: ConnectionParameters, tmp_path: Path, kind: str) -> None:
    bench = _source(Bench(erp, _file(kind, tmp_path)))
    bench.at_destination("CREATE VIEW t AS SELECT 1 AS k, 'a' AS v")
    if kind == "sqlite":
        # SQLite does not count the rows that an INSTEAD OF trigger writes
        bench.at_destination("CREATE TRIGGER i INSTEAD OF INSERT ON t BEGIN SELECT 1; END")
    with pytest.raises(ConfigurationInvalid, match=r"main\.t is a view that does not accept INSERT and DELETE"):
        bench.run(replace(_plan(bench), dest_table=TableName("main", "t")))
    assert _nothing_staged(bench)


@pytest.mark.parametrize("name", first_by_default(["SYNC.ORDERS", "[sync].[orders]", "Sync.orders", "`sync`.`orders`"]))
def test_a_name_that_differs_from_a_table_only_in_case_or_quotes_is_refused(bench: Bench, name: str) -> None:
    _source(bench).at_destination("CREATE SCHEMA sync", f"CREATE TABLE sync.orders ({COLUMNS})")
    plan = replace(_plan(bench), dest_table=TableName.parse(name))
    with pytest.raises(Refused, match=r"there is sync\.orders; names must match exactly") as caught:
        bench.run(plan)
    assert "dest_table: sync.orders" in caught.value.hint
    assert _nothing_staged(bench)
    assert bench.rows("SELECT count(*) FROM pg_class WHERE lower(relname) LIKE '%orders%'") == [(1,)]
    result = bench.run(replace(plan, force=True))
    assert any("forced" in warning for warning in result.warnings)
    # a table of exactly this name exists now
    assert bench.run(plan).warnings == []


@pytest.mark.matrix
@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_brackets_around_names_are_refused_in_files_too(erp: ConnectionParameters, tmp_path: Path, kind: str) -> None:
    bench = _source(Bench(erp, _file(kind, tmp_path)))
    bench.run(_plan(bench))
    with pytest.raises(Refused, match=r"there is sync\.t; names must match exactly"):
        bench.run(replace(_plan(bench), dest_table=TableName.parse("[sync].[t]")))


@pytest.mark.matrix
@pytest.mark.parametrize("kind", first_by_default(["sqlite", "duckdb", "postgresql"]))
@pytest.mark.parametrize(
    ("existing", "requested"), [("caf\u00e9", "cafe\u0301"), ("cafe\u0301", "CAF\u00c9"), ("t", "t "), (" t", "t")]
)
def test_a_second_table_whose_name_looks_the_same_is_refused(
    bench_to: Callable[[str], Bench], kind: str, existing: str, requested: str
) -> None:
    bench = bench_to(kind)
    bench.at_source("CREATE TABLE s (k int)", "INSERT INTO s VALUES (1)")
    query = "SELECT k FROM s"
    bench.run(bench.plan(query, dest_table=TableName("sync", existing)))
    with pytest.raises(Refused, match=r"No second table was created") as caught:
        bench.run(bench.plan(query, dest_table=TableName("sync", requested)))
    # the message tells the names apart by escaped characters
    assert ascii(str(TableName("sync", existing))) in caught.value.message


def test_a_schema_that_differs_from_another_only_in_case_causes_a_warning(bench: Bench) -> None:
    _source(bench).at_destination("CREATE SCHEMA sync")
    result = bench.run(replace(_plan(bench), dest_table=TableName("SYNC", "new_table")))
    assert "There is no schema SYNC, but there is sync; names must match exactly." in result.warnings


IDENTITY = "CREATE TABLE sync.t (k bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)"


@pytest.mark.parametrize("keyed", first_by_default([True, False]))
@pytest.mark.parametrize("strategy", first_by_default(sorted(Strategy, reverse=True)))
def test_an_identity_column_gets_the_values_of_the_source(bench: Bench, strategy: Strategy, keyed: bool) -> None:
    ddl = IDENTITY if keyed else IDENTITY.replace(" PRIMARY KEY", "")
    _source(bench).at_destination("CREATE SCHEMA sync", ddl, "INSERT INTO sync.t (v) VALUES ('old')")
    plan = _plan(bench, strategy)
    if strategy is Strategy.APPEND:
        bench.at_destination("DELETE FROM sync.t")
        plan = replace(plan, watermark="k")
    bench.run(plan)
    bench.at_source("UPDATE s SET v = 'new' WHERE k = 2", "INSERT INTO s VALUES (30, 'c')")
    bench.run(plan)
    second = "b" if strategy is Strategy.APPEND else "new"
    assert bench.rows("SELECT k, v FROM sync.t ORDER BY k") == [(1, "a"), (2, second), (30, "c")]


@pytest.mark.matrix
def test_upsert_refuses_an_identity_column_that_it_cannot_update(bench: Bench) -> None:
    _source(bench).at_destination(
        "CREATE SCHEMA sync", "CREATE TABLE sync.t (k int PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY, v text)"
    )
    plan = replace(_plan(bench, Strategy.UPSERT), source_query="SELECT k, k AS n, v FROM s")
    with pytest.raises(ConfigurationInvalid, match=r"n of sync\.t is GENERATED ALWAYS AS IDENTITY") as caught:
        bench.run(plan)
    assert "Remove n from the query" in caught.value.hint
    assert _nothing_staged(bench)
    assert bench.run(replace(_plan(bench, Strategy.INCREMENTAL), source_query=plan.source_query)).counts == (2, 0, 0)


GENERATED = {
    "postgresql": "CREATE TABLE {} (k int, g int GENERATED ALWAYS AS (k * 2) STORED)",
    "sqlite": "CREATE TABLE {} (k int, g int GENERATED ALWAYS AS (k * 2) VIRTUAL)",
    "sqlite stored": "CREATE TABLE {} (k int, g int AS (k * 2) STORED)",
    "duckdb": "CREATE TABLE {} (k int, g int GENERATED ALWAYS AS (k * 2))",
}


@pytest.mark.parametrize("name", first_by_default(GENERATED))
def test_a_generated_column_in_the_query_is_refused_before_the_transfer(
    erp: ConnectionParameters, warehouse: ConnectionParameters, tmp_path: Path, name: str
) -> None:
    kind = name.split()[0]
    bench = _source(Bench(erp, warehouse if kind == "postgresql" else _file(kind, tmp_path)))
    if kind != "sqlite":
        bench.at_destination("CREATE SCHEMA sync")
    table = '"sync.t"' if kind == "sqlite" else "sync.t"
    bench.at_destination(GENERATED[name].format(table))
    with pytest.raises(ConfigurationInvalid, match=r"sync\.t computes g itself") as caught:
        bench.run(replace(_plan(bench), source_query="SELECT k, 7 AS g FROM s"))
    assert "Remove g from the query" in caught.value.hint
    assert _nothing_staged(bench)
    bench.run(replace(_plan(bench), source_query="SELECT k FROM s"))
    assert bench.rows(f"SELECT k, g FROM {table} ORDER BY k") == [(1, 2), (2, 4)]


def test_a_column_of_type_any_in_a_strict_table_keeps_text(erp: ConnectionParameters, tmp_path: Path) -> None:
    bench = Bench(erp, _file("sqlite", tmp_path))
    bench.at_source("CREATE TABLE s (k integer, v text)", "INSERT INTO s VALUES (1, '5'), (2, '007'), (3, 'x')")
    bench.at_destination('CREATE TABLE "sync.t" (k INTEGER, v ANY) STRICT')
    for strategy in (Strategy.FULL, Strategy.INCREMENTAL, Strategy.UPSERT):
        bench.run(_plan(bench, strategy))
        assert bench.rows('SELECT k, v, typeof(v) FROM "sync.t" ORDER BY k') == [
            (1, "5", "text"),
            (2, "007", "text"),
            (3, "x", "text"),
        ]


@pytest.mark.matrix
def test_a_column_of_type_any_in_another_table_is_refused_since_text_would_become_a_number(
    erp: ConnectionParameters, tmp_path: Path
) -> None:
    bench = Bench(erp, _file("sqlite", tmp_path))
    bench.at_source("CREATE TABLE s (k integer, v text)", "INSERT INTO s VALUES (1, '5')")
    bench.at_destination('CREATE TABLE "sync.t" (k INTEGER, v ANY)')
    with pytest.raises(PipekitError, match="turns into a number"):
        bench.run(_plan(bench))
