"""Keys that are equal in the destination though their texts differ: every statement uses the same equality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from connections import registry
from connections.sdk.errors import DuplicateKeys, QueryInvalid
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableInfo, TableName
from runs.engine import events
from runs.engine.plan import Strategy
from tests.harness.bench import Bench
from tests.integration.engine.publish.collated_tables import KEYED, QUERY, TABLE, plan_for

pytestmark = pytest.mark.usefixtures("transfer_in_process")


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


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(("name", "strategy"), CASES)
def test_a_key_in_another_spelling_is_the_same_key(
    bench_to: Callable[[str], Bench], name: str, strategy: Strategy
) -> None:
    case = TABLES[name]
    bench = bench_to(case.kind)
    bench.at_source("CREATE TABLE s (code text, v text, n integer)")
    bench.at_source(f"INSERT INTO s VALUES ('{case.one}', 'old', 20), ('f', 'stays', 1), ('g', 'goes', 2)")
    bench.at_destination(*case.ddl.split("; "))
    plan = plan_for(bench, strategy, key_sync=True)
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
        bench.run(plan_for(bench, Strategy.UPSERT))
    assert bench.run(plan_for(bench, Strategy.UPSERT, keep_latest=True)).counts == (2, 0, 0)
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
        bench.run(plan_for(bench, Strategy.UPSERT))
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
    plan = plan_for(bench, strategy, dest_table=table)
    assert bench.run(plan).counts == (1, 0, 0)
    bench.at_source(f"UPDATE s SET code = {values[1]}, v = 'new', n = 2")
    assert bench.run(plan).counts == (0, 1, 0)
    assert bench.rows("SELECT v FROM t") == [("new",)]
