"""The exchange of tables on SQLite and DuckDB: what is carried over, what prevents it, and what readers see."""

from __future__ import annotations

import re
import subprocess
import sys
from ast import literal_eval
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from connections.connectors.sqlite import table_exchange
from connections.sdk.errors import ConfigurationInvalid, InvalidValue
from connections.sdk.schema import TableName
from connections.url.parse import parse_url
from runs.engine import sync
from runs.engine.events import Event, MethodChosen
from runs.engine.jrunner_process import JrunnerProcess
from runs.engine.plan import FullPublish, Plan, Strategy
from runs.jrunner.job import Job
from tests.harness import transfer_in_process as in_process
from tests.harness.bench import Bench, Rows
from tests.harness.kept_sessions import opened_file, session_for

pytestmark = pytest.mark.usefixtures("transfer_in_process")
QUERY = "SELECT k, v FROM s"
NEW = [(1, "new"), (2, "new"), (3, "new")]
FORMER = [(7, "former"), (8, "former")]
KINDS = ["sqlite", "duckdb"]
TABLE = {"sqlite": '"sync.t"', "duckdb": "sync.t"}
BESIDE = TableName("pipekit_staging", "m")


@pytest.fixture
def files(bench_to: Callable[[str], Bench]) -> Iterator[Callable[..., Bench]]:
    """Create benches to a kind of file, whose table is created by statements and has the former rows."""
    opened = ExitStack()

    def make(kind: str, *statements: str) -> Bench:
        bench = bench_to(kind)
        opened.enter_context(opened_file(bench.destination))
        bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'new'), (2, 'new'), (3, 'new')")
        if statements:
            schema = ["CREATE SCHEMA sync"] if kind == "duckdb" else []
            insert = f"INSERT INTO {TABLE[kind]} (k, v) VALUES (7, 'former'), (8, 'former')"
            # before the table comes what its columns need
            after = next(number for number, sql in enumerate(statements, start=1) if "sync.t" in sql)
            bench.at_destination(*schema, *statements[:after], insert, *statements[after:])
        return bench

    with opened:
        yield make


def method(bench: Bench, **changes: object) -> tuple[str, str]:
    """Execute a full refresh; return its method, and why it was chosen."""
    chosen = bench.run(bench.plan(QUERY, **changes)).last(MethodChosen)
    return str(chosen.method), chosen.why


def after_transfer(monkeypatch: pytest.MonkeyPatch, execute: Callable[[], None]) -> None:
    """Execute something when the rows are staged, before they are published."""

    def transfer(plan: Plan, job: Job, process: JrunnerProcess | None) -> Iterator[Event]:
        yield from in_process.transfer(plan, job, process)
        execute()

    monkeypatch.setattr(sync, "transfer_rows", transfer)


def rows(bench: Bench) -> Rows:
    # a virtual table of texts has no numbers
    return bench.rows(f"SELECT CAST(k AS INTEGER), v FROM {TABLE[bench.destination.kind]} ORDER BY 1")


def exists(bench: Bench, table: str) -> bool:
    query = (
        "SELECT count(*) FROM pragma_table_info('{}')"
        if bench.destination.kind == "sqlite"
        else ("SELECT count(*) FROM duckdb_tables() WHERE schema_name || '.' || table_name = '{}'")
    )
    return bench.rows(query.format(table)) != [(0,)]


def sqlite_schema(bench: Bench) -> Rows:
    """Return everything in the file but Pipekit's own tables, with the table's name in quotes."""
    found = bench.rows(
        "SELECT type, name, tbl_name, replace(sql, 'CREATE TABLE [sync.t]', 'CREATE TABLE \"sync.t\"') "
        "FROM sqlite_schema WHERE tbl_name NOT LIKE 'pipekit_staging.pipekit_%' ORDER BY 1, 2"
    )
    assert ("table", "sync.t") in [row[:2] for row in found]
    return found


def test_a_table_of_sqlite_keeps_its_definition(files: Callable[..., Bench]) -> None:
    bench = files(
        "sqlite",
        "CREATE TABLE [sync.t] /* ( */ (id INTEGER PRIMARY KEY AUTOINCREMENT, k INT NOT NULL CHECK (k > 0),\n"
        " v TEXT COLLATE NOCASE DEFAULT 'CREATE TABLE [sync.t](', twice INT AS (k * 2) STORED, -- sync.t\n"
        " UNIQUE (k, v)) STRICT",
        'CREATE INDEX "by v" ON "sync.t" (v COLLATE RTRIM DESC)',
        'CREATE UNIQUE INDEX some_k ON [sync.t] (k) WHERE "sync.t".k > 1',
        'CREATE INDEX expression ON "sync.t" (lower(v), k)',
        'CREATE VIEW v AS SELECT t.* FROM "sync.t" t',
        "CREATE VIEW of_a_missing_table AS SELECT * FROM missing",
        "CREATE TABLE other (x)",
        'CREATE TRIGGER other_trigger AFTER INSERT ON other BEGIN DELETE FROM "sync.t" WHERE k = new.x; END',
        "ANALYZE",
    )
    before = sqlite_schema(bench)
    assert method(bench) == ("swap", "")
    assert sqlite_schema(bench) == before
    assert bench.rows("SELECT id, k, v, twice FROM v ORDER BY id") == [
        # counted on from the former rows, as if they had been deleted
        (3, 1, "new", 2), (4, 2, "new", 4), (5, 3, "new", 6),
    ]  # fmt: skip
    assert bench.rows("SELECT * FROM sqlite_sequence") == [("sync.t", 5)]
    # the statistics are those of the new rows
    statistics = bench.rows("SELECT idx, stat FROM sqlite_stat1 WHERE tbl = 'sync.t' ORDER BY idx")
    assert ("some_k", "2 1") in statistics and len(statistics) == 4
    bench.at_destination("INSERT INTO other VALUES (2)")
    assert method(bench) == ("swap", "")
    assert sqlite_schema(bench) == before
    assert bench.rows("SELECT max(id), max(seq) FROM v, sqlite_sequence") == [(8, 8)]
    assert bench.rows("PRAGMA integrity_check") == [("ok",)]


def test_autoincrement_counts_on_from_rows_that_were_inserted_while_rows_were_staged(
    files: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = files("sqlite", 'CREATE TABLE "sync.t" (id INTEGER PRIMARY KEY AUTOINCREMENT, k INT, v TEXT)')
    after_transfer(monkeypatch, lambda: bench.at_destination('INSERT INTO "sync.t" (id) VALUES (50)'))
    assert method(bench) == ("swap", "")
    assert rows(bench) == NEW
    assert bench.rows("SELECT * FROM sqlite_sequence") == [("sync.t", 50)]


def test_a_table_without_rowid_keeps_its_definition(files: Callable[..., Bench]) -> None:
    bench = files("sqlite", 'CREATE TABLE "sync.t" (k INT, v TEXT, PRIMARY KEY (v, k DESC)) WITHOUT ROWID')
    before = sqlite_schema(bench)
    assert (method(bench), rows(bench)) == (("swap", ""), NEW)
    assert sqlite_schema(bench) == before


def duckdb_schema(bench: Bench) -> Rows:
    """Return the definition of the table with its comments, and its indexes."""
    found = bench.rows(
        "SELECT table_name, sql, comment FROM duckdb_tables() WHERE schema_name = 'sync'"
        " UNION ALL SELECT index_name, sql, comment FROM duckdb_indexes()"
        " UNION ALL SELECT constraint_name, constraint_text, '' FROM duckdb_constraints() WHERE schema_name = 'sync'"
        " UNION ALL SELECT column_name, data_type, comment FROM duckdb_columns() WHERE schema_name = 'sync'"
        " ORDER BY ALL"
    )
    assert len(found) > 1
    return found


def test_a_table_of_duckdb_keeps_its_definition(files: Callable[..., Bench]) -> None:
    bench = files(
        "duckdb",
        "CREATE SEQUENCE numbers",
        "CREATE TABLE sync.t (k INTEGER, v VARCHAR COLLATE nocase NOT NULL DEFAULT 'a;b(',"
        " \"the \"\"mood\" ENUM ('x'), n INTEGER DEFAULT nextval('numbers'), twice INTEGER AS (k * 2),"
        " CHECK (k > 0))",
        'CREATE INDEX "by v" ON sync.t (v, (k + 1))',
        "CREATE UNIQUE INDEX unique_n ON sync.t (n)",
        "CREATE VIEW sync.w AS SELECT * FROM sync.t",
        "COMMENT ON TABLE sync.t IS 'it''s'",
        'COMMENT ON COLUMN sync.t."the ""mood" IS \'mood\'',
        "COMMENT ON INDEX sync.unique_n IS 'unique'",
    )
    before = duckdb_schema(bench)
    assert (method(bench), rows(bench)) == (("swap", ""), NEW)
    assert duckdb_schema(bench) == before
    # the sequence counts on
    assert bench.rows("SELECT n, twice FROM sync.w ORDER BY k") == [(3, 2), (4, 4), (5, 6)]
    assert method(bench) == ("swap", "")
    assert duckdb_schema(bench) == before


PLAIN = {
    "sqlite": 'CREATE TABLE "sync.t" (k INTEGER PRIMARY KEY CHECK (k < 100), v TEXT)',
    "duckdb": "CREATE TABLE sync.t (k INTEGER CHECK (k < 100), v VARCHAR)",
}
# what prevents an exchange, by the reason
OBSTACLES = {
    "it has the trigger noted": [
        PLAIN["sqlite"],
        "CREATE TABLE o (x)",
        'CREATE TRIGGER noted AFTER INSERT ON "sync.t" BEGIN DELETE FROM o; END',
    ],
    "it references o": ['CREATE TABLE "sync.t" (k INT REFERENCES o (x), v TEXT)', "CREATE TABLE o (x)"],
    "o references it": [PLAIN["sqlite"], 'CREATE TABLE o (x REFERENCES "SYNC.T" (k))'],
    "it has a constraint with ON CONFLICT": ['CREATE TABLE "sync.t" (k INT PRIMARY KEY ON CONFLICT REPLACE, v)'],
    "no table like it could be created": ['CREATE TABLE "sync.t" (k INT CHECK ("sync.t".k > 0), v)'],
    "it is not an ordinary table": ['CREATE VIRTUAL TABLE "sync.t" USING fts5 (k, v)'],
}
DUCKDB_OBSTACLES = {
    "its PRIMARY KEY(k) would need much memory": ["CREATE TABLE sync.t (k INTEGER PRIMARY KEY, v VARCHAR)"],
    "its UNIQUE(k, v) would need much memory": ["CREATE TABLE sync.t (k INTEGER, v VARCHAR, UNIQUE (k, v))"],
    "o references it": [
        "CREATE TABLE sync.t (k INTEGER PRIMARY KEY, v VARCHAR)",
        "CREATE TABLE sync.o (x INTEGER REFERENCES sync.t (k))",
    ],
    "it references o": [
        "CREATE TABLE sync.o (x INTEGER PRIMARY KEY)",
        "INSERT INTO sync.o SELECT range FROM range(9)",
        "CREATE TABLE sync.t (k INTEGER REFERENCES sync.o (x), v VARCHAR)",
    ],
    "view w depends on it": [
        "SET GLOBAL enable_view_dependencies = true",
        PLAIN["duckdb"],
        "CREATE VIEW sync.w AS SELECT * FROM sync.t",
    ],
    "it uses the type mood": [
        "CREATE TYPE mood AS ENUM ('new', 'former')",
        "CREATE TABLE sync.t (k INTEGER, v mood)",
    ],
}


@pytest.mark.parametrize(
    ("kind", "reason", "statements"),
    [
        *(("sqlite", reason, statements) for reason, statements in OBSTACLES.items()),
        *(("duckdb", reason, statements) for reason, statements in DUCKDB_OBSTACLES.items()),
    ],
)
def test_what_prevents_an_exchange_is_said_and_the_rows_are_copied(
    files: Callable[..., Bench], kind: str, reason: str, statements: list[str]
) -> None:
    bench = files(kind, *statements)
    chosen, why = method(bench)
    assert chosen == "delete" and reason in why
    assert rows(bench) == NEW
    with pytest.raises(ConfigurationInvalid, match="cannot be exchanged, as full_publish requires"):
        method(bench, full_publish=FullPublish.SWAP)


def test_the_tables_of_a_virtual_table_are_not_exchanged(files: Callable[..., Bench]) -> None:
    bench = files("sqlite", PLAIN["sqlite"], "CREATE VIRTUAL TABLE texts USING fts5 (v)")
    with session_for(bench.destination) as session:
        of_tables = [
            table_exchange.obstacles(session, TableName("", name), BESIDE) for name in ("texts_data", "sync.t")
        ]
    assert of_tables == [("it belongs to the virtual table texts",), ()]


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_that_was_changed_while_rows_were_staged_gets_the_rows_copied(
    files: Callable[..., Bench], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = files(kind, PLAIN[kind])
    after_transfer(monkeypatch, lambda: bench.at_destination(f"ALTER TABLE {TABLE[kind]} ADD COLUMN more INTEGER"))
    assert method(bench) == (
        "delete",
        "the table is not exchanged, because it was changed while rows were staged, or a part of it cannot be carried"
        " over (its columns or constraints)",
    )
    assert bench.rows(f"SELECT * FROM {TABLE[kind]}") == [(*row, None) for row in NEW]
    # on DuckDB it is in the schema of the table
    assert exists(bench, "pipekit_staging.m") is (kind == "sqlite")
    assert not exists(bench, "sync.pipekit_staging.m")


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_table_is_the_renamed_staging_table(files: Callable[..., Bench], kind: str) -> None:
    bench = files(kind)
    plan = bench.plan(QUERY, strategy=Strategy.UPSERT, merge_key=("k",), watermark="v")
    result = bench.run(plan)
    assert result.last(MethodChosen).method == "swap" and result.counts == (3, 0, 0)
    assert rows(bench) == NEW
    assert not exists(bench, "pipekit_staging.m") and not exists(bench, "sync.pipekit_staging.m")
    if kind == "sqlite":
        found = bench.rows("SELECT sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'sync.t' ORDER BY 1")
        texts = [re.sub("pipekit_t_[0-9a-f]{8}", "name", sql) for (sql,) in found]
        assert texts == [
            'CREATE INDEX "name_idx" ON "sync.t" ("v")',
            'CREATE UNIQUE INDEX "name_key" ON "sync.t" ("k")',
        ]
    # a merge as before
    bench.at_source("UPDATE s SET v = 'newer' WHERE k = 2")
    assert bench.run(plan).counts == (0, 3, 0)
    assert rows(bench)[1] == (2, "newer")


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_the_table_does_not_accept_leave_it_unchanged(files: Callable[..., Bench], kind: str) -> None:
    bench = files(kind, PLAIN[kind])
    bench.at_source("INSERT INTO s VALUES (300, 'too high')")
    with pytest.raises(InvalidValue):
        method(bench)
    assert rows(bench) == FORMER
    assert exists(bench, "sync.pipekit_staging.m" if kind == "duckdb" else "pipekit_staging.m")
    bench.at_source("DELETE FROM s WHERE k = 300")
    # what the failed run has left is dropped, also if the rows are now copied
    assert method(bench, full_publish=FullPublish.DELETE)[0] == "delete"
    assert rows(bench) == NEW and not exists(bench, "sync.pipekit_staging.m")


# in a process of its own, because two libraries of SQLite in one process release each other's locks
READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    if line == "begin\\n":
        cursor = connection.execute('SELECT k, v FROM "sync.t" ORDER BY k')
        rows = [cursor.fetchone()]
    elif line == "rest\\n":
        rows += cursor.fetchall()
    else:
        rows = []
        while not rows or rows[-1][0][1] != line.strip():
            found = connection.execute('SELECT k, v FROM "sync.t" ORDER BY v, k').fetchall()
            if not rows or found != rows[-1]:
                rows.append(found)
                print("seen", flush=True)
    print(rows, flush=True)
"""


@contextmanager
def reader(bench: Bench) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", READER, parse_url(bench.destination.url, kind="sqlite").path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def ask(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_readers_see_the_former_rows_or_the_new_ones(files: Callable[..., Bench], mode: str) -> None:
    bench = files("sqlite", PLAIN["sqlite"], 'CREATE INDEX by_v ON "sync.t" (v)', f"PRAGMA journal_mode = {mode}")
    versions = [FORMER]
    with reader(bench) as process:
        ask(process, "new 3")
        assert answer(process) == "seen"
        for number in range(1, 4):
            bench.at_source(f"UPDATE s SET v = 'new {number}'")
            versions.append([(k, f"new {number}") for k in (1, 2, 3)])
            assert method(bench) == ("swap", "")
        while (line := answer(process)) == "seen":
            pass
    seen = literal_eval(line)
    # in this order, though it may have missed some
    assert [rows for rows in versions if rows in seen] == seen
    assert (seen[0], seen[-1]) == (FORMER, versions[-1])


def test_a_reader_within_a_transaction_keeps_the_former_table(files: Callable[..., Bench]) -> None:
    bench = files("sqlite", PLAIN["sqlite"], "PRAGMA journal_mode = wal")
    with reader(bench) as process:
        ask(process, "begin")
        assert literal_eval(answer(process)) == FORMER[:1]
        assert method(bench) == ("swap", "")
        ask(process, "rest")
        assert literal_eval(answer(process)) == FORMER
        ask(process, "new")
        assert [answer(process), literal_eval(answer(process))] == ["seen", [NEW]]


def test_the_pages_of_the_former_table_are_used_again(files: Callable[..., Bench]) -> None:
    bench = files("sqlite", 'CREATE TABLE "sync.t" (k INTEGER, v TEXT)')
    bench.at_source(
        "INSERT INTO s WITH RECURSIVE n (k) AS (VALUES (9) UNION ALL SELECT k + 1 FROM n LIMIT 3000)"
        " SELECT k, printf('%.500c', 'x') FROM n"
    )
    sizes = []
    for _ in range(4):
        method(bench)
        sizes += bench.rows("SELECT page_count FROM pragma_page_count()")
    assert sizes[1] == sizes[2] == sizes[3]


def test_no_former_table_is_kept(files: Callable[..., Bench]) -> None:
    bench = files("sqlite", PLAIN["sqlite"])
    plan = replace(bench.plan(QUERY), keep_previous=True)
    assert bench.run(plan).last(MethodChosen).method == "swap"
    assert not exists(bench, "pipekit_staging.m")
    assert bench.rows('SELECT data_version FROM "pipekit_staging.pipekit_exchanges"') == [(None,)]
