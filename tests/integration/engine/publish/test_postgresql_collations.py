"""Keys that are equal by a collation of PostgreSQL: every statement uses the same equality."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from connections.sdk.errors import DuplicateKeys
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from runs.engine import events
from runs.engine.plan import Strategy
from tests.harness.bench import Bench
from tests.integration.engine.publish.collated_tables import KEYED, plan_for

pytestmark = pytest.mark.usefixtures("transfer_in_process")


_CI = "CREATE COLLATION \"Case ins\" (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
POSTGRESQL = {
    "key": [_CI, 'CREATE TABLE t (code text COLLATE "Case ins" PRIMARY KEY, v text, n int)'],
    "column": [_CI, 'CREATE TABLE t (code varchar(9) COLLATE "Case ins", v text, n int)'],
    "index": [_CI, "CREATE TABLE t (code text, v text, n int)", 'CREATE UNIQUE INDEX ON t (code COLLATE "Case ins")'],
    "binary index": [
        _CI,
        'CREATE TABLE t (code text COLLATE "Case ins", v text, n int)',
        'CREATE UNIQUE INDEX ON t (code COLLATE "C")',
    ],
    "domain": [_CI, 'CREATE DOMAIN ci AS text COLLATE "Case ins"', "CREATE TABLE t (code ci UNIQUE, v text, n int)"],
    "view": [
        _CI,
        'CREATE TABLE below (code text COLLATE "Case ins", v text, n int)',
        "CREATE VIEW t AS SELECT * FROM below",
    ],
    "citext": ["CREATE EXTENSION citext", "CREATE TABLE t (code citext PRIMARY KEY, v text, n int)"],
}


@pytest.mark.matrix
@pytest.mark.parametrize("strategy", KEYED)
@pytest.mark.parametrize("name", POSTGRESQL)
def test_every_statement_of_postgresql_uses_the_same_equality(
    icu_server: str, erp: ConnectionParameters, name: str, strategy: Strategy
) -> None:
    with psycopg.connect(icu_server, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS icu WITH (FORCE)")
        connection.execute("CREATE DATABASE icu")
    url = icu_server.replace("/postgres?", "/icu?")
    bench = Bench(erp, ConnectionParameters(kind="postgresql", url=url, name="warehouse"))
    bench.at_source(
        "CREATE TABLE s (code text, v text, n integer)",
        "INSERT INTO s VALUES ('abc', 'old', 20), ('f', 'stays', 1), ('g', 'goes', 2)",
    )
    bench.at_destination(*POSTGRESQL[name])
    plan = plan_for(bench, strategy, key_sync=True, dest_table=TableName("public", "t"))
    assert bench.run(plan).counts == (3, 0, 0)
    bench.at_source(
        "UPDATE s SET code = 'ABC', v = 'new', n = 30 WHERE v = 'old'",
        "INSERT INTO s VALUES ('zz', 'added', 40)",
        "DELETE FROM s WHERE v = 'goes'",
    )
    result = bench.run(plan)
    assert result.counts == (1, 1, 0)
    assert result.last(events.Reconciled).deleted == 1
    expected = [("abc", "new", 30), ("f", "stays", 1), ("zz", "added", 40)]
    assert bench.rows("SELECT lower(code::text), v, n FROM t ORDER BY n = 1, n") == [
        expected[0],
        expected[2],
        expected[1],
    ]
    bench.at_source("INSERT INTO s VALUES ('NEW', 'twin', 50), ('new', 'newest', 51)")
    with pytest.raises(DuplicateKeys, match=r"(?i)\(new\) 2 times"):
        bench.run(plan)
    assert bench.run(replace(plan, keep_latest=True)).counts == (1, 0, 0)
    assert bench.rows("SELECT v FROM t WHERE lower(code::text) = 'new'") == [("newest",)]


@pytest.mark.matrix
def test_append_compares_rows_exactly_whatever_the_collations(icu_server: str, erp: ConnectionParameters) -> None:
    with psycopg.connect(icu_server, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS icu WITH (FORCE)")
        connection.execute("CREATE DATABASE icu")
    url = icu_server.replace("/postgres?", "/icu?")
    bench = Bench(erp, ConnectionParameters(kind="postgresql", url=url, name="warehouse"))
    bench.at_source("CREATE TABLE s (code text, v text, d date)", "INSERT INTO s VALUES ('abc', 'v', '2024-01-01')")
    bench.at_destination(_CI, 'CREATE TABLE t (code text COLLATE "Case ins", v text COLLATE "de-x-icu", d date)')
    plan = bench.plan(
        "SELECT code, v, d FROM s", strategy=Strategy.APPEND, watermark="d", dest_table=TableName("public", "t")
    )
    bench.run(plan)
    bench.at_source("INSERT INTO s VALUES ('ABC', 'v', '2024-01-01')")
    assert bench.run(plan).counts == (1, 0, 0)
    assert bench.run(plan).counts == (0, 0, 0)
