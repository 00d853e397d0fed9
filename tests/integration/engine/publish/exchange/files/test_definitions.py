"""What an exchange of tables on SQLite and DuckDB carries over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.bench import Bench, Rows
from tests.integration.engine.publish.exchange.files.tables import (
    NEW,
    after_transfer,
    method,
    rows,
)

pytestmark = pytest.mark.usefixtures("transfer_in_process")


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
