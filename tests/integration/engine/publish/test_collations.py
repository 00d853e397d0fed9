"""Keys that are equal in the destination though their texts differ: every statement uses the same equality."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from connections import registry
from connections.sdk.errors import DuplicateKeys, QueryInvalid
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableInfo, TableName
from runs.engine import events
from runs.engine.plan import Limits, Plan, Strategy
from tests.benches.bench import Bench

pytestmark = pytest.mark.usefixtures("transfer_in_process")

TABLE = TableName("main", "t")
QUERY = "SELECT code, v, n FROM s"
KEYED = [Strategy.UPSERT, Strategy.INCREMENTAL]


@dataclass(frozen=True)
class Case:
    """A destination table, and two texts that are equal as its key."""

    kind: str
    ddl: str
    one: str = "abc"
    other: str = "ABC"


TABLES = {
    "nocase key": Case("sqlite", "CREATE TABLE t (code text COLLATE NOCASE PRIMARY KEY, v text, n integer)"),
    "nocase": Case("sqlite", "CREATE TABLE t (code text COLLATE NOCASE, v text, n integer)"),
    "nocase index": Case(
        "sqlite",
        "CREATE TABLE t (code text, v text, n integer); CREATE UNIQUE INDEX i ON t (code COLLATE NOCASE)",
    ),
    "nocase in the key": Case(
        "sqlite", "CREATE TABLE t (code text, v text, n integer, PRIMARY KEY (code COLLATE NOCASE)) WITHOUT ROWID"
    ),
    "rtrim": Case("sqlite", "CREATE TABLE t (code text COLLATE RTRIM UNIQUE, v text, n integer)", "abc", "abc  "),
    "binary index": Case(
        "sqlite",
        "CREATE TABLE t (code text COLLATE NOCASE, v text, n integer); "
        "CREATE UNIQUE INDEX i ON t (code COLLATE BINARY)",
    ),
    "duckdb": Case("duckdb", "CREATE TABLE t (code varchar COLLATE nocase, v varchar, n integer)"),
    "duckdb key": Case("duckdb", "CREATE TABLE t (code varchar COLLATE nocase PRIMARY KEY, v varchar, n integer)"),
}
BY_DEFAULT = {("nocase key", Strategy.UPSERT), ("nocase", Strategy.INCREMENTAL), ("nocase index", Strategy.INCREMENTAL)}
CASES = [
    pytest.param(name, strategy, marks=() if (name, strategy) in BY_DEFAULT else pytest.mark.matrix)
    for name in TABLES
    for strategy in KEYED
]


def _plan(bench: Bench, strategy: Strategy, **changes: object) -> Plan:
    limits = Limits(max_delete_share=1)
    plan = bench.plan(QUERY, dest_table=TABLE, strategy=strategy, merge_key=("code",), watermark="n", limits=limits)
    return replace(plan, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "strategy"), CASES)
def test_a_key_in_another_spelling_is_the_same_key(
    bench_to: Callable[[str], Bench], name: str, strategy: Strategy
) -> None:
    case = TABLES[name]
    bench = bench_to(case.kind)
    bench.at_source("CREATE TABLE s (code text, v text, n integer)")
    bench.at_source(f"INSERT INTO s VALUES ('{case.one}', 'old', 20), ('f', 'stays', 1), ('g', 'goes', 2)")
    bench.at_destination(*case.ddl.split("; "))
    plan = _plan(bench, strategy, key_sync=True)
    assert bench.run(plan).counts == (3, 0, 0)
    bench.at_source(
        f"UPDATE s SET code = '{case.other}', v = 'new', n = 30 WHERE v = 'old'",
        "INSERT INTO s VALUES ('zz', 'added', 40)",
        "DELETE FROM s WHERE v = 'goes'",
    )
    result = bench.run(plan)
    assert result.counts == (1, 1, 0)
    assert result.last(events.Reconciled).deleted == 1
    expected = [("abc", "new", 30), ("f", "stays", 1), ("zz", "added", 40)]
    assert bench.rows("SELECT rtrim(lower(code)), v, n FROM t ORDER BY 1") == expected
    # a further run has nothing to do
    assert bench.run(plan).counts == (0, 0, 0)
    assert bench.rows("SELECT rtrim(lower(code)), v, n FROM t ORDER BY 1") == expected


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "nocase" else pytest.mark.matrix) for name in TABLES]
)
def test_keys_that_are_equal_in_the_destination_are_duplicates(bench_to: Callable[[str], Bench], name: str) -> None:
    case = TABLES[name]
    bench = bench_to(case.kind)
    bench.at_source("CREATE TABLE s (code text, v text, n integer)")
    bench.at_source(f"INSERT INTO s VALUES ('{case.one}', 'old', 1), ('{case.other}', 'new', 2), ('f', 'f', 1)")
    bench.at_destination(*case.ddl.split("; "))
    with pytest.raises(DuplicateKeys, match=r"(?i)\(abc *\) 2 times"):
        bench.run(_plan(bench, Strategy.UPSERT))
    assert bench.run(_plan(bench, Strategy.UPSERT, keep_latest=True)).counts == (2, 0, 0)
    assert bench.rows("SELECT v FROM t ORDER BY 1") == [("f",), ("new",)]


def _describe(parameters: ConnectionParameters, *statements: str, table: str = "t") -> TableInfo:
    connector = registry.connector(parameters.kind)
    session = connector.connect(parameters)
    try:
        for sql in statements:
            session.execute(sql)
        table_info = connector.introspector.describe_table(session, TableName("", table))
        assert table_info is not None
        return table_info
    finally:
        session.close()


def test_collations_of_sqlite_columns_views_and_indexes_are_described(erp: ConnectionParameters) -> None:
    ddl = [
        'CREATE TABLE t (a text COLLATE NOCASE, "b c" text COLLATE RTRIM, d text, n integer COLLATE nocase, '
        "UNIQUE (a, d), UNIQUE (d COLLATE RTRIM, n))",
        "CREATE VIEW v AS SELECT d, a AS x FROM t",
    ]
    table_info = _describe(erp, *ddl)
    assert {c.name: c.collation for c in table_info.columns} == {"a": "NOCASE", "b c": "RTRIM", "d": "", "n": "NOCASE"}
    assert table_info.unique_keys == (("a", "d"),)
    assert table_info.key_collations(("a", "d")) == {"a": "NOCASE"}
    assert table_info.key_collations(("n", "d")) == {"n": "NOCASE", "d": "RTRIM"}
    assert _describe(erp, table="V").key_collations(("d", "x")) == {"x": "NOCASE"}


def test_a_key_with_an_unknown_collation_is_refused_before_the_transfer(
    bench_to: Callable[[str], Bench],
) -> None:
    bench = bench_to("sqlite")
    bench.at_source("CREATE TABLE s (code text, v text, n integer)", "INSERT INTO s VALUES ('a', 'a', 1)")
    bench.at_destination(
        "CREATE TABLE t (code text, v text, n integer)",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(sql, 'code text', 'code text COLLATE german')",
    )
    with pytest.raises(QueryInvalid, match="no such collation sequence: german"):
        bench.run(_plan(bench, Strategy.UPSERT))
    # a full refresh compares no keys, so it does not need the collation
    assert bench.run(bench.plan(QUERY, dest_table=TABLE)).counts == (1, 0, 0)


def test_collations_of_duckdb_columns_are_described(warehouse_of: Callable[[str], ConnectionParameters]) -> None:
    ddl = (
        'CREATE TABLE t (a varchar COLLATE nocase, "b ""c, (d" varchar COLLATE noaccent.nocase, e varchar DEFAULT '
        "', e VARCHAR COLLATE x', f struct(a varchar), UNIQUE (a), UNIQUE (e))"
    )
    table_info = _describe(warehouse_of("duckdb"), ddl)
    assert {c.name: c.collation for c in table_info.columns} == {
        "a": "nocase",
        'b "c, (d': "noaccent.nocase",
        "e": "",
        "f": "",
    }
    assert table_info.unique_keys == (("e",),)


@pytest.mark.matrix
@pytest.mark.parametrize("strategy", KEYED)
@pytest.mark.parametrize(
    ("kind", "ddl", "values"),
    [
        # trailing blanks of char are not significant
        ("postgresql", "CREATE TABLE t (code char(5), v text, n int)", ["'abc'", "'abc '"]),
        # the column converts numbers and texts to its own type
        ("sqlite", "CREATE TABLE t (code text, v text, n integer)", ["7", "'7'"]),
        ("sqlite", "CREATE TABLE t (code integer, v text, n integer)", ["7", "7"]),
    ],
)
def test_the_type_of_the_destination_column_decides_which_keys_are_equal(
    bench_to: Callable[[str], Bench], kind: str, ddl: str, values: list[str], strategy: Strategy
) -> None:
    bench = bench_to(kind)
    bench.at_source("CREATE TABLE s (code, v text, n integer)", f"INSERT INTO s VALUES ({values[0]}, 'old', 1)")
    bench.at_destination(ddl)
    table = TableName("public", "t") if kind == "postgresql" else TABLE
    plan = _plan(bench, strategy, dest_table=table)
    assert bench.run(plan).counts == (1, 0, 0)
    bench.at_source(f"UPDATE s SET code = {values[1]}, v = 'new', n = 2")
    assert bench.run(plan).counts == (0, 1, 0)
    assert bench.rows("SELECT v FROM t") == [("new",)]


@pytest.fixture(scope="module")
def icu_server() -> Iterator[str]:
    """Return the URL of a PostgreSQL server with ICU collations and citext, as Debian packages it."""
    initdbs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not initdbs or (os.geteuid() == 0 and not shutil.which("runuser")):
        pytest.skip("No PostgreSQL with ICU is installed (Debian: postgresql)")
    programs = initdbs[-1].parent
    home = Path(tempfile.mkdtemp(prefix="pk-icu-"))
    # the server does not run as root
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if user:
        shutil.chown(home, "postgres")

    def call(program: str, *arguments: str) -> None:
        subprocess.run(
            [*user, str(programs / program), *arguments], check=True, cwd=home, stdout=subprocess.DEVNULL, timeout=60
        )

    try:
        call("initdb", "-D", f"{home}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        call("pg_ctl", "-w", "-D", f"{home}/data", "-l", f"{home}/log", "-o", f"-h '' -k {home} -F", "start")
        try:
            yield f"postgresql://postgres@/postgres?host={home}"
        finally:
            call("pg_ctl", "-m", "immediate", "-D", f"{home}/data", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


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
    plan = _plan(bench, strategy, key_sync=True, dest_table=TableName("public", "t"))
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
