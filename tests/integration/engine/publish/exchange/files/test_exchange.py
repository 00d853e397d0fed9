"""The exchange of tables on SQLite and DuckDB: what prevents it, and what happens to changes and refused rows."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from connections.connectors.sqlite import table_exchange
from connections.sdk.errors import ConfigurationInvalid, InvalidValue
from connections.sdk.schema import TableName
from runs.engine.events import MethodChosen
from runs.engine.plan import FullPublish, Strategy
from tests.harness.bench import Bench
from tests.harness.kept_sessions import session_for
from tests.integration.engine.publish.exchange.files.tables import (
    BESIDE,
    FORMER,
    KINDS,
    NEW,
    PLAIN,
    QUERY,
    TABLE,
    after_transfer,
    exists,
    method,
    rows,
)

pytestmark = pytest.mark.usefixtures("transfer_in_process")


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
