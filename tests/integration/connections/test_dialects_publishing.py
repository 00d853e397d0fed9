"""The statements of a publish in every destination's words: they parse, and MariaDB runs them where it is installed."""

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
from connections.sdk.sql.types import DataType, Kind

DESTINATIONS = ["clickhouse", "h2", "mysql", "oracle", "sqlserver"]
TABLE, KEYS = TableName("my schema", "Or`d[e]'r"), TableName("pipekit_staging", "keys")
COLUMNS, KEY = ("id 1", "id_2", "v"), ("id 1", "id_2")


def _dialect(kind: str) -> PublishingDialect:
    found = registry.dialect(kind)
    assert isinstance(found, PublishingDialect)
    return found


def _statements(kind: str) -> dict[str, str]:
    d, staging = _dialect(kind), _dialect(kind).staging_table("orders")
    native = registry.datatypes(kind).render(DataType(kind=Kind.TIMESTAMP)).native
    found = {
        "create_table": d.create_table(TABLE, [(name, native) for name in COLUMNS], scratch=True),
        "create_unique": d.create_unique(TABLE, KEY),
        "maximum": d.maximum(TABLE, "v"),
        "second_highest": d.second_highest(TABLE, "v"),
        "count_null": d.count_null(staging, KEY),
        "count_marks": d.count_marks(staging, "v", ties=True, offsets=True),
        "count_marks of no more": d.count_marks(staging, "v", ties=False, offsets=False),
        "empty_table": d.empty_table(TABLE),
        "analyze": d.analyze(TABLE),
        "count": d.count(TABLE),
        "insert_all": d.insert_all(TABLE, staging, COLUMNS),
        "delete_missing": d.delete_missing(TABLE, KEYS, KEY),
        "count_missing": d.count_missing(TABLE, KEYS, KEY),
        "duplicate_keys": d.duplicate_keys(staging, KEY),
        "keep_latest": d.keep_latest(staging, COLUMNS, KEY, "v"),
        "insert_unseen": d.insert_unseen(TABLE, staging, COLUMNS, "v"),
        "count_unseen": d.count_unseen(TABLE, staging, COLUMNS, "v"),
        "count_keys": d.count_keys(staging, KEY),
        "upsert": d.upsert(TABLE, staging, COLUMNS, KEY),
        "upsert of keys only": d.upsert(TABLE, staging, KEY, KEY),
    }
    for null_safe in (False, True):
        found[f"count_pairs {null_safe}"] = d.count_pairs(TABLE, staging, KEY, null_safe=null_safe)
        found[f"count_matching {null_safe}"] = d.count_matching(TABLE, staging, KEY, null_safe=null_safe)
        found[f"delete_matching {null_safe}"] = d.delete_matching(TABLE, staging, KEY, null_safe=null_safe)
        found[f"update_matching {null_safe}"] = d.update_matching(TABLE, staging, COLUMNS, KEY, null_safe=null_safe)
        found[f"insert_missing {null_safe}"] = d.insert_missing(TABLE, staging, COLUMNS, KEY, null_safe=null_safe)
    return {name: sql for name, sql in found.items() if sql}


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_every_statement_is_one_statement_of_its_system(kind: str) -> None:
    for name, sql in _statements(kind).items():
        # a table option and a pseudo column that sqlglot does not know
        text = sql.replace(" INVISIBLE", "")
        parsed = [found for found in sqlglot.parse(text, read=_dialect(kind).grammar.sqlglot) if found]
        assert len(parsed) == 1, name
        assert parsed[0].key not in ("command",) or name in ("analyze", "empty_table"), name


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_systems_say_honestly_what_a_transaction_covers(kind: str) -> None:
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


def test_clickhouse_only_inserts_where_others_upsert() -> None:
    d = _dialect("clickhouse")
    assert not d.has_on_conflict
    assert d.upsert(TableName("", "t"), TableName("", "s"), ("a", "b"), ("a",)) == (
        "INSERT INTO `t` (`a`, `b`)\nSELECT `a`, `b` FROM `s`"
    )


def test_creating_an_sql_server_schema_quotes_twice() -> None:
    assert _dialect("sqlserver").create_schema("a]b'c") == (
        "IF SCHEMA_ID('a]b''c') IS NULL EXEC('CREATE SCHEMA [a]]b''c]')"
    )


def test_dropping_an_oracle_table_quotes_twice() -> None:
    sql = _dialect("oracle").drop_table(TableName("S", "a'b"))
    assert """EXECUTE IMMEDIATE 'DROP TABLE "S"."a''b" PURGE';""" in sql


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., list[list[str]]]]:
    """Runs statements in one session of a server of this module's own and returns the rows of the last."""
    if not shutil.which("mariadbd") or not shutil.which("mariadb-install-db"):
        pytest.skip("MariaDB is not installed (Debian: mariadb-server)")
    # socket paths end at 107 bytes
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


def _fresh(d: PublishingDialect) -> tuple[str, ...]:
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
        _values(d, TABLE, [("1", "a", "old"), ("2", "b'\\", "old"), ("3", None, "old")]),
        _values(d, staging, [("2", "b'\\", "new"), ("3", None, "new"), ("4", "d", "new")]),
        _values(d, KEYS, [("1", "a"), ("4", "d")]),
    )


def _values(d: PublishingDialect, table: TableName, rows: list[tuple[str | None, ...]]) -> str:
    values = ", ".join("(" + ", ".join("NULL" if v is None else d.string(v) for v in row) + ")" for row in rows)
    return f"INSERT INTO {d.qualified(table)} ({d.columns(COLUMNS[: len(rows[0])])}) VALUES {values}"


def _act(name: str, **more: bool) -> Callable[[PublishingDialect], str]:
    return lambda d: getattr(d, name)(TABLE, d.staging_table("orders"), COLUMNS, KEY, **more)


MARIADB: dict[str, tuple[Callable[[PublishingDialect], str], list[list[str]]]] = {
    "upsert": (
        lambda d: d.create_unique(TABLE, KEY) + ";" + _act("upsert")(d),
        # no unique key tells two NULLs apart: keys that hold them take the null-safe statements
        [["1", "a", "old"], ["2", "b'\\", "new"], ["3", "NULL", "new"], ["3", "NULL", "old"], ["4", "d", "new"]],
    ),
    "update_matching": (
        _act("update_matching", null_safe=True),
        [["1", "a", "old"], ["2", "b'\\", "new"], ["3", "NULL", "new"]],
    ),
    "insert_missing": (
        _act("insert_missing", null_safe=True),
        [["1", "a", "old"], ["2", "b'\\", "old"], ["3", "NULL", "old"], ["4", "d", "new"]],
    ),
    "delete_matching": (
        lambda d: d.delete_matching(TABLE, d.staging_table("orders"), KEY, null_safe=True),
        [["1", "a", "old"]],
    ),
    "delete_matching without NULLs": (
        lambda d: d.delete_matching(TABLE, d.staging_table("orders"), KEY, null_safe=False),
        [["1", "a", "old"], ["3", "NULL", "old"]],
    ),
    "delete_missing": (lambda d: d.delete_missing(TABLE, KEYS, KEY), [["1", "a", "old"]]),
    "insert_unseen": (
        lambda d: (
            d.insert_unseen(TABLE, d.staging_table("orders"), COLUMNS, "v")
            + ";"
            # what is read again is not doubled
            + d.insert_unseen(TABLE, d.staging_table("orders"), COLUMNS, "v")
        ),
        [
            ["1", "a", "old"],
            ["2", "b'\\", "new"],
            ["2", "b'\\", "old"],
            ["3", "NULL", "new"],
            ["3", "NULL", "old"],
            ["4", "d", "new"],
        ],
    ),
}


@pytest.mark.parametrize("name", MARIADB)
def test_mariadb_publishes_exactly_these_rows(mariadb: Callable[..., list[list[str]]], name: str) -> None:
    d = _dialect("mysql")
    act, expected = MARIADB[name]
    shown = f"SELECT {d.columns(COLUMNS)} FROM {d.qualified(TABLE)} ORDER BY 1, 2, 3"
    assert mariadb(*_fresh(d), act(d), shown) == expected


def test_mariadb_counts_what_a_publish_will_do(mariadb: Callable[..., list[list[str]]]) -> None:
    d, staging = _dialect("mysql"), _dialect("mysql").staging_table("orders")
    doubled = _values(d, TABLE, [("2", "b'\\", "old")])
    assert mariadb(*_fresh(d), doubled, d.count_pairs(TABLE, staging, KEY, null_safe=True)) == [["2", "3"]]
    assert mariadb(*_fresh(d), d.count_unseen(TABLE, staging, COLUMNS, "v")) == [["3"]]
    assert mariadb(*_fresh(d), d.count_keys(staging, KEY)) == [["3"]]


def test_mariadb_keeps_the_latest_of_each_key(mariadb: Callable[..., list[list[str]]]) -> None:
    d, staging = _dialect("mysql"), _dialect("mysql").staging_table("orders")
    more = _values(d, staging, [("4", "d", "newer"), ("4", "d", None), ("5", None, "a"), ("5", None, "b")])
    assert mariadb(*_fresh(d), more, d.duplicate_keys(staging, KEY)) == [["4", "d", "3"], ["5", "NULL", "2"]]
    shown = f"SELECT {d.columns(COLUMNS)} FROM {d.qualified(staging)} ORDER BY 1, 2, 3"
    assert mariadb(*_fresh(d), more, d.keep_latest(staging, COLUMNS, KEY, "v"), shown) == [
        ["2", "b'\\", "new"],
        ["3", "NULL", "new"],
        ["4", "d", "newer"],
        ["5", "NULL", "b"],
    ]


@pytest.mark.parametrize("text", ["a\\b", "it's", "\\'; DROP TABLE x; -- ", "é学😀", '`"[]', "%s {x} ?"])
def test_mariadb_gives_back_any_text_and_name(mariadb: Callable[..., list[list[str]]], text: str) -> None:
    d = _dialect("mysql")
    assert mariadb(f"SELECT {d.string(text)}") == [[text]]
    if "😀" not in text and not text.endswith(" "):
        column = d.quote(text)
        statements = ("CREATE DATABASE IF NOT EXISTS n", f"CREATE OR REPLACE TABLE n.t ({column} int)")
        assert mariadb(*statements, "SELECT column_name FROM information_schema.columns WHERE table_schema = 'n'") == [
            [text]
        ]


@pytest.mark.parametrize("meaning", [kind for kind in Kind if kind not in (Kind.NATIVE, Kind.UNKNOWN)])
def test_mariadb_has_every_type_that_is_rendered(mariadb: Callable[..., list[list[str]]], meaning: Kind) -> None:
    datatypes = registry.datatypes("mysql")
    rendered = datatypes.render(DataType(kind=meaning, precision=30, scale=4))
    found = mariadb(
        "CREATE DATABASE IF NOT EXISTS n",
        f"CREATE OR REPLACE TABLE n.k (c {rendered.native})",
        "SELECT column_type FROM information_schema.columns WHERE table_schema = 'n' AND table_name = 'k'",
    )
    # MariaDB keeps json as longtext
    expected = Kind.TEXT if meaning is Kind.JSON else datatypes.parse(rendered.native).kind
    assert datatypes.parse(re.sub(r" CHECK.*", "", found[0][0])).kind is expected
