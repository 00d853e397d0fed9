"""SQL statements of a publish in every dialect: they parse, and MariaDB executes them if it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlglot

from connections import registry
from connections.sdk.schema import TableName
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.testing.publishing import (
    COLUMNS,
    DESTINATION,
    KEY,
    KEY_ROWS,
    STAGED,
    STATEMENTS,
    UPSERT,
    Tables,
    insert_rows,
)
from connections.sdk.types import DataType, Kind

DESTINATIONS = ["clickhouse", "h2", "mysql", "oracle", "sqlserver"]
TABLE, KEYS = TableName("my schema", "Or`d[e]'r"), TableName("pipekit_staging", "keys")


def _dialect(kind: str) -> PublishingDialect:
    dialect = registry.dialect(kind)
    assert isinstance(dialect, PublishingDialect)
    return dialect


def _statements(kind: str) -> dict[str, str]:
    d, staging = _dialect(kind), _dialect(kind).staging_table("orders")
    native = registry.datatypes(kind).render(DataType(kind=Kind.TIMESTAMP)).native
    statements = {
        "create_table": d.create_table(TABLE, [(name, native) for name in COLUMNS], scratch=True),
        "create_unique": d.create_unique(TABLE, KEY),
        "maximum": d.maximum(TABLE, "v"),
        "second_highest": d.second_highest(TABLE, "v"),
        "count_null": d.count_null(staging, KEY),
        "count_watermark_values": d.count_watermark_values(staging, "v", ties=True, offsets=True),
        "count_watermark_values without ties and offsets": d.count_watermark_values(
            staging, "v", ties=False, offsets=False
        ),
        "select_rows_with_null": d.select_rows_with_null(staging, "v", KEY, limit=5),
        "select_rows_with_null without other columns": d.select_rows_with_null(staging, "v", ()),
        "empty_table": d.empty_table(TABLE),
        "analyze": d.analyze(TABLE),
        "count": d.count(TABLE),
        "insert_all": d.insert_all(TABLE, staging, COLUMNS),
        "delete_missing": d.delete_missing(TABLE, KEYS, KEY),
        "count_missing": d.count_missing(TABLE, KEYS, KEY),
        "duplicate_keys": d.duplicate_keys(staging, KEY),
        "some_of": d.some_of(TABLE, COLUMNS, 1000),
        "highest_up_to": d.highest_up_to(TABLE, "v", "5", 100),
        "keep_latest": d.keep_latest(staging, COLUMNS, KEY, "v"),
        "insert_missing_copies": d.insert_missing_copies(TABLE, staging, COLUMNS, "v"),
        "count_missing_copies": d.count_missing_copies(TABLE, staging, COLUMNS, "v"),
        "count_keys": d.count_keys(staging, KEY),
        "upsert": d.upsert(TABLE, staging, COLUMNS, KEY),
        "upsert of keys only": d.upsert(TABLE, staging, KEY, KEY),
    }
    for null_safe in (False, True):
        statements[f"count_pairs {null_safe}"] = d.count_pairs(TABLE, staging, KEY, null_safe=null_safe)
        statements[f"count_matching {null_safe}"] = d.count_matching(TABLE, staging, KEY, null_safe=null_safe)
        statements[f"delete_matching {null_safe}"] = d.delete_matching(TABLE, staging, KEY, null_safe=null_safe)
        statements[f"update_matching {null_safe}"] = d.update_matching(
            TABLE, staging, COLUMNS, KEY, null_safe=null_safe
        )
        statements[f"insert_missing {null_safe}"] = d.insert_missing(TABLE, staging, COLUMNS, KEY, null_safe=null_safe)
    return {name: sql for name, sql in statements.items() if sql}


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_sqlglot_parses_every_statement_as_one_statement(kind: str) -> None:
    for name, sql in _statements(kind).items():
        # sqlglot does not know the option INVISIBLE of a column
        text = sql.replace(" INVISIBLE", "")
        parsed = [statement for statement in sqlglot.parse(text, read=_dialect(kind).grammar.sqlglot) if statement]
        assert len(parsed) == 1, name
        assert parsed[0].key not in ("command",) or name in ("analyze", "empty_table"), name


@pytest.mark.parametrize("kind", ["h2", "oracle", "sqlserver"])
def test_systems_without_limit_get_the_row_limit_that_they_have(kind: str) -> None:
    assert [name for name, sql in _statements(kind).items() if re.search(r"\bLIMIT\b", sql)] == []
    assert _dialect("oracle").select_rows_with_null(TableName("", "S"), "A", ("B",), limit=5) == (
        'SELECT t."B" FROM "S" t WHERE t."A" IS NULL FETCH FIRST 5 ROWS ONLY'
    )
    assert _dialect("sqlserver").select_rows_with_null(TableName("", "S"), "A", ("B",), limit=5) == (
        "SELECT TOP (5) t.[B] FROM [S] t WHERE t.[A] IS NULL"
    )


def test_only_dialects_write_row_limits() -> None:
    runs = Path(__file__).resolve().parents[3] / "runs"
    # the database of a verification's differences is always DuckDB
    files = [file for file in runs.rglob("*.py") if file.name != "differences.py"]
    assert [str(file) for file in files if re.search(r"\bLIMIT (\d|\{)", file.read_text())] == []


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_dialects_declare_whether_a_publish_is_transactional(kind: str) -> None:
    dialect = _dialect(kind)
    # MySQL, Oracle and H2 commit at every DDL statement and at TRUNCATE, ClickHouse has no transactions
    assert dialect.transactional == (kind == "sqlserver")
    assert dialect.truncates == (kind in ("sqlserver", "clickhouse"))


def test_a_merge_updates_and_inserts_by_key() -> None:
    d = _dialect("oracle")
    assert d.upsert(TableName("", "T"), TableName("", "S"), ("A", "B"), ("A",)) == (
        'MERGE INTO "T" d\nUSING "S" s ON (d."A" = s."A")\n'
        'WHEN MATCHED THEN UPDATE SET "B" = s."B"\n'
        'WHEN NOT MATCHED THEN INSERT ("A", "B") VALUES (s."A", s."B")'
    )
    assert _dialect("sqlserver").upsert(TableName("", "T"), TableName("", "S"), ("A",), ("A",)) == (
        "MERGE INTO [T] WITH (HOLDLOCK) AS d\nUSING [S] s ON (d.[A] = s.[A])\n"
        "WHEN NOT MATCHED THEN INSERT ([A]) VALUES (s.[A]);"
    )


def test_an_upsert_for_clickhouse_only_inserts() -> None:
    d = _dialect("clickhouse")
    assert not d.has_on_conflict
    assert d.upsert(TableName("", "t"), TableName("", "s"), ("a", "b"), ("a",)) == (
        "INSERT INTO `t` (`a`, `b`)\nSELECT `a`, `b` FROM `s`"
    )


def test_the_name_of_a_new_sql_server_schema_is_quoted_in_both_strings() -> None:
    assert _dialect("sqlserver").create_schema("a]b'c") == (
        "IF SCHEMA_ID('a]b''c') IS NULL EXEC('CREATE SCHEMA [a]]b''c]')"
    )


def test_the_name_of_a_dropped_oracle_table_is_quoted_in_the_string() -> None:
    sql = _dialect("oracle").drop_table(TableName("S", "a'b"))
    assert """EXECUTE IMMEDIATE 'DROP TABLE "S"."a''b" PURGE';""" in sql


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., list[list[str]]]]:
    """Start a MariaDB server. Yield a function that executes statements in one session and returns the last's rows."""
    if not shutil.which("mariadbd") or not shutil.which("mariadb-install-db"):
        pytest.skip("MariaDB is not installed (Debian: mariadb-server)")
    # the path of a socket has at most 107 bytes
    home = Path(f"/tmp/pk-maria-{time.monotonic_ns()}")
    options = ["--no-defaults", f"--datadir={home}/data"]
    try:
        subprocess.run(
            ["mariadb-install-db", *options, "--user=root", "--auth-root-authentication-method=normal"],
            check=True,
            capture_output=True,
        )
        server = subprocess.Popen(
            ["mariadbd", *options, "--user=root", "--skip-networking", f"--socket={home}/s", f"--pid-file={home}/p"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(home / "s")
            yield lambda *statements: _rows(home / "s", statements)
        finally:
            server.terminate()
            server.wait(120)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _wait_for(path: Path) -> None:
    end = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < end, "MariaDB did not start"
        time.sleep(0.05)


def _rows(path: Path, statements: tuple[str, ...]) -> list[list[str]]:
    command = ["mariadb", "--no-defaults", f"--socket={path}", "--default-character-set=utf8mb4", "--batch", "-N", "-r"]
    text = ";\n".join((*statements[:-1], f"SELECT 'last'; {statements[-1]}")) + ";\n"
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return [line.split("\t") for line in done.stdout.decode().split("last\n")[-1].splitlines()]


def _prepared(d: PublishingDialect) -> tuple[str, ...]:
    columns = [
        (name, registry.datatypes("mysql").render(DataType(kind=Kind.TEXT, length=50)).native) for name in COLUMNS
    ]
    staging = d.staging_table("orders")
    return (
        *(f"DROP DATABASE IF EXISTS {d.quote(s)}" for s in (TABLE.schema, KEYS.schema)),
        d.create_schema(TABLE.schema),
        d.create_schema(KEYS.schema),
        d.create_table(TABLE, columns),
        d.create_table(staging, columns, scratch=True),
        d.create_table(KEYS, columns[:2], scratch=True),
        *d.begin_publish(TABLE, lock_seconds=5),
        insert_rows(d, TABLE, DESTINATION),
        insert_rows(d, staging, STAGED),
        insert_rows(d, KEYS, KEY_ROWS),
    )


def _tables(d: PublishingDialect) -> Tables:
    return Tables(destination=TABLE, staging=d.staging_table("orders"), keys=KEYS)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("name", ["upsert", *STATEMENTS])
def test_mariadb_publishes_the_expected_rows(mariadb: Callable[..., list[list[str]]], name: str) -> None:
    d = _dialect("mysql")
    case = UPSERT if name == "upsert" else STATEMENTS[name]
    query = f"SELECT {d.columns(COLUMNS)} FROM {d.qualified(TABLE)} ORDER BY 1, 2, 3"
    assert mariadb(*_prepared(d), *case.statements(d, _tables(d)), query) == case.expected


def test_mariadb_counts_the_rows_that_a_publish_will_change(mariadb: Callable[..., list[list[str]]]) -> None:
    d, staging = _dialect("mysql"), _dialect("mysql").staging_table("orders")
    doubled = insert_rows(d, TABLE, [("2", "b'\\", "old")])
    assert mariadb(*_prepared(d), doubled, d.count_pairs(TABLE, staging, KEY, null_safe=True)) == [["2", "3"]]
    assert mariadb(*_prepared(d), d.count_missing_copies(TABLE, staging, COLUMNS, "v")) == [["3"]]
    assert mariadb(*_prepared(d), d.count_keys(staging, KEY)) == [["3"]]


def test_mariadb_keeps_the_latest_row_of_each_key(mariadb: Callable[..., list[list[str]]]) -> None:
    d, staging = _dialect("mysql"), _dialect("mysql").staging_table("orders")
    more = insert_rows(d, staging, [("4", "d", "newer"), ("4", "d", None), ("5", None, "a"), ("5", None, "b")])
    assert mariadb(*_prepared(d), more, d.duplicate_keys(staging, KEY)) == [["4", "d", "3"], ["5", "NULL", "2"]]
    shown = f"SELECT {d.columns(COLUMNS)} FROM {d.qualified(staging)} ORDER BY 1, 2, 3"
    assert mariadb(*_prepared(d), more, d.keep_latest(staging, COLUMNS, KEY, "v"), shown) == [
        ["2", "b'\\", "new"],
        ["3", "NULL", "new"],
        ["4", "d", "newer"],
        ["5", "NULL", "b"],
    ]


@pytest.mark.parametrize("text", ["a\\b", "it's", "\\'; DROP TABLE x; -- ", "é学😀", '`"[]', "%s {x} ?"])
def test_mariadb_returns_any_text_and_name_unchanged(mariadb: Callable[..., list[list[str]]], text: str) -> None:
    d = _dialect("mysql")
    assert mariadb(f"SELECT {d.string(text)}") == [[text]]
    if "😀" not in text and not text.endswith(" "):
        column = d.quote(text)
        statements = (
            "CREATE DATABASE IF NOT EXISTS n",
            f"CREATE OR REPLACE TABLE n.t ({column} int)",
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'n' AND table_name = 't'",
        )
        assert mariadb(*statements) == [[text]]


@pytest.mark.parametrize("meaning", [kind for kind in Kind if kind not in (Kind.NATIVE, Kind.UNKNOWN)])
def test_mariadb_accepts_every_rendered_type(mariadb: Callable[..., list[list[str]]], meaning: Kind) -> None:
    datatypes = registry.datatypes("mysql")
    rendered = datatypes.render(DataType(kind=meaning, precision=30, scale=4))
    rows = mariadb(
        "CREATE DATABASE IF NOT EXISTS n",
        f"CREATE OR REPLACE TABLE n.k (c {rendered.native})",
        "SELECT column_type FROM information_schema.columns WHERE table_schema = 'n' AND table_name = 'k'",
    )
    # MariaDB keeps json as longtext
    expected = Kind.TEXT if meaning is Kind.JSON else datatypes.parse(rendered.native).kind
    assert datatypes.parse(re.sub(r" CHECK.*", "", rows[0][0])).kind is expected
