"""Declared types, which may be any text: only what parses as a type gets into DDL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from connections import registry
from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import Column, TableName
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.sql.type_validation import is_type
from runs.engine.plan import Strategy
from tests.harness.bench import Bench, fetch

pytestmark = pytest.mark.usefixtures("transfer_in_process")

HOSTILE = [
    "TEXT DEFAULT (7) CHECK (1)",
    "TEXT DEFAULT 7",
    "TEXT NOT NULL",
    "INTEGER PRIMARY KEY",
    "TEXT COLLATE NOCASE",
    "TEXT REFERENCES other(id)",
    "TEXT, extra INTEGER",
    "TEXT); DROP TABLE victim; --",
    "TEXT /* */ CHECK (0)",
    "INTEGER GENERATED ALWAYS AS (7)",
]
# each of these costs a run
SOME = [HOSTILE[0], *(pytest.param(text, marks=pytest.mark.matrix) for text in HOSTILE[1:] if text[0] == "T")]


def sqlite(path: Path, name: str) -> ConnectionParameters:
    return ConnectionParameters(kind="sqlite", url=f"jdbc:sqlite:{path}", options={"create": True}, name=name)


@pytest.fixture
def files(tmp_path: Path) -> Bench:
    return Bench(sqlite(tmp_path / "source.db", "source"), sqlite(tmp_path / "destination.db", "destination"))


def definitions(bench: Bench) -> str:
    return " ".join(str(sql) for (sql,) in fetch(bench.destination, "SELECT sql FROM sqlite_master WHERE sql NOTNULL"))


@pytest.mark.parametrize("declared", SOME)
def test_a_hostile_type_of_a_source_adds_nothing_to_the_ddl(files: Bench, declared: str) -> None:
    files.at_destination("CREATE TABLE victim (a)")
    quoted = declared.replace('"', '""')
    files.at_source(f'CREATE TABLE s (k INTEGER, v "{quoted}")', "INSERT INTO s VALUES (1, 'kept'), (2, NULL)")
    files.run(files.plan("SELECT k AS k, v AS v FROM s", dest_table=TableName("", "t")))
    assert fetch(files.destination, "SELECT k, v FROM t ORDER BY k") == [(1, "kept"), (2, None)]
    assert fetch(files.destination, "SELECT count(*) FROM victim") == [(0,)]
    # the column has no DEFAULT
    files.at_destination("INSERT INTO t (k) VALUES (3)")
    assert fetch(files.destination, "SELECT v FROM t WHERE k = 3") == [(None,)]
    column = fetch(files.destination, "SELECT type, dflt_value, pk FROM pragma_table_info('t') WHERE name = 'v'")
    assert column == [("TEXT", None, 0)]
    assert "DEFAULT" not in definitions(files) and "CHECK" not in definitions(files)


@pytest.mark.parametrize("declared", SOME)
def test_a_hostile_type_of_an_existing_destination_adds_nothing_to_the_ddl(files: Bench, declared: str) -> None:
    quoted = declared.replace('"', '""')
    files.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'kept')")
    files.at_destination(f'CREATE TABLE t (k INTEGER, v "{quoted}")')
    table = TableName("", "t")
    plan = files.plan("SELECT k AS k, v AS v FROM s", dest_table=table, strategy=Strategy.UPSERT, merge_key=("k",))
    files.run(plan)
    assert fetch(files.destination, "SELECT k, v FROM t") == [(1, "kept")]
    staging = "SELECT sql FROM sqlite_master WHERE name = 'pipekit_staging.m'"
    ((ddl,),) = fetch(files.destination, staging)
    assert "DEFAULT" not in ddl and "CHECK" not in ddl and "KEY" not in ddl


def test_a_column_type_of_the_module_with_more_than_a_type_is_refused(files: Bench) -> None:
    files.at_source("CREATE TABLE s (k INTEGER)")
    own = Column(dest_name="k", dest_type="INTEGER DEFAULT (7)")
    with pytest.raises(ConfigurationInvalid, match="cannot be used as the type of a column"):
        files.run(files.plan("SELECT k AS k FROM s", dest_table=TableName("", "t"), columns=(own,)))


# systems that cannot be a destination
NO_DESTINATIONS = {"as400", "jdbc", "snowflake"}


@pytest.mark.parametrize("declared", [text for text in HOSTILE if text != "TEXT NOT NULL"])
@pytest.mark.parametrize("kind", sorted({*registry.kinds()} - NO_DESTINATIONS))
def test_every_dialect_refuses_a_type_with_more_than_a_type(kind: str, declared: str) -> None:
    dialect = registry.dialect(kind)
    assert isinstance(dialect, PublishingDialect)
    with pytest.raises(ConfigurationInvalid, match="cannot be used as the type of a column"):
        dialect.create_table(TableName("", "t"), [("v", declared)])


@pytest.mark.parametrize(
    "native",
    [
        "character varying(10)",
        "timestamp(3) with time zone",
        "numeric(10,-2)",
        "interval day to second(3)",
        '"char"',
        'sales."Weird Type"[]',
        "int4[][]",
        "geometry(Point,4326)",
        "STRUCT(a INTEGER, \"b c\" VARCHAR[], d STRUCT(e ENUM('x', 'it''s')))[3]",
        "MAP(VARCHAR, DECIMAL(18,3))",
        "DOUBLE PRECISION",
        "UNSIGNED BIG INT",
        "native character ( 70 )",
        "Größe",
    ],
)
def test_types_of_all_systems_are_recognized(native: str) -> None:
    assert is_type(native)


@pytest.mark.parametrize(
    "native",
    ["", " ", "7", "(7)", "'x'", "a b)", "a (b", "a [b)", "a; b", "a -- b", "a /* b */", "a(b) 'c'", 'a "b', "a\nb"],
)
def test_texts_that_are_not_types_are_rejected(native: str) -> None:
    assert not is_type(native)


@pytest.mark.parametrize("declared", HOSTILE)
def test_a_type_followed_by_a_clause_is_rejected(declared: str) -> None:
    assert not is_type(declared)


def test_types_described_by_duckdb_are_recognized(tmp_path: Path) -> None:
    parameters = ConnectionParameters(
        kind="duckdb", url=f"jdbc:duckdb:{tmp_path}/x.duckdb", options={"create": True}, name="x"
    )
    connector = registry.connector("duckdb")
    session = connector.connect(parameters)
    describe: Callable[..., object] = connector.introspector.describe_query
    session.execute("""CREATE TYPE mood AS ENUM ('it''s', '"quoted"', 'a, b')""")
    query = "SELECT 'it''s'::mood AS m, {'a b': 1, 'check': 2} AS s, [1] AS l, map {'k': 1.5} AS p, 1::UTINYINT AS u"
    columns = describe(session, query)
    session.close()
    assert [is_type(column.native_type) for column in columns] == [True] * 5  # type: ignore[attr-defined]
