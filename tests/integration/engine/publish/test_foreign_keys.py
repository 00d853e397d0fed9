"""Rows of other tables that reference the destination: no run takes them away, or empties their references, unsaid."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connections.connectors.sqlite import driver
from connections.sdk.errors import InvalidValue, PipekitError, QueryInvalid, Refused
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from connections.sdk.sql.foreign_keys import lock_deleted
from runs.engine import events
from runs.engine.plan import Plan, Strategy
from runs.engine.publish import foreign_keys
from tests.benches.bench import Bench
from tests.benches.matrix import first_by_default

pytestmark = pytest.mark.usefixtures("transfer_in_process")

QUERY = "SELECT id, v FROM s"
INVOICES = "SELECT no, customer FROM sync.invoice ORDER BY no"
ALL = [(100, 1), (101, 2)]


def _fill(bench: Bench, on_delete: str) -> None:
    bench.at_source("CREATE TABLE s (id bigint, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'new')")
    bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id bigint PRIMARY KEY, v text)",
        "INSERT INTO sync.t VALUES (1, 'a'), (2, 'b')",
        f"CREATE TABLE sync.invoice (no int PRIMARY KEY, customer bigint DEFAULT 1 REFERENCES sync.t {on_delete})",
        "INSERT INTO sync.invoice VALUES (100, 1), (101, 2)",
    )


def _plan(bench: Bench, strategy: Strategy, **changes: object) -> Plan:
    key = ("id",) if strategy in (Strategy.INCREMENTAL, Strategy.UPSERT) else ()
    return bench.plan(QUERY, strategy=strategy, merge_key=key, delete_instead_of_truncate=True, **changes)


@pytest.mark.parametrize("strategy", first_by_default([Strategy.INCREMENTAL, Strategy.FULL]))
@pytest.mark.parametrize(
    ("action", "harm", "afterwards"),
    first_by_default(
        [
            ("CASCADE", "delete 2 rows", []),
            ("SET NULL", "set the reference to NULL of 2 rows", [(100, None), (101, None)]),
        ]
    ),
)
def test_what_would_cascade_is_refused_and_forced_only_with_a_warning(
    pg_bench: Bench, strategy: Strategy, action: str, harm: str, afterwards: list[tuple[int, int | None]]
) -> None:
    _fill(pg_bench, f"ON DELETE {action}")
    plan = _plan(pg_bench, strategy)
    with pytest.raises(Refused) as caught:
        pg_bench.run(plan)
    named = f"{harm} of sync.invoice (foreign key invoice_customer_fkey, ON DELETE {action})"
    assert named in caught.value.message
    assert "upsert" in caught.value.hint
    assert pg_bench.rows(INVOICES) == ALL
    assert pg_bench.rows("SELECT id, v FROM sync.t ORDER BY 1") == [(1, "a"), (2, "b")]
    result = pg_bench.run(replace(plan, force=True))
    assert any(named in warning and "forced" in warning for warning in result.warnings)
    assert pg_bench.rows(INVOICES) == afterwards


@pytest.mark.parametrize("strategy", first_by_default([Strategy.INCREMENTAL, Strategy.FULL]))
def test_a_refused_run_has_written_nothing_to_the_rows_that_it_would_delete(
    pg_bench: Bench, strategy: Strategy
) -> None:
    _fill(pg_bench, "ON DELETE CASCADE")
    # what locks a row is written into it, by the rows that reference it too
    locked = "SELECT count(*) FROM sync.t WHERE xmax <> 0"
    pg_bench.at_destination("UPDATE sync.t SET v = v")
    assert pg_bench.rows(locked) == [(0,)]
    with pytest.raises(Refused):
        pg_bench.run(_plan(pg_bench, strategy))
    assert pg_bench.rows(locked) == [(0,)]


@pytest.mark.parametrize("strategy", first_by_default([Strategy.INCREMENTAL, Strategy.FULL]))
def test_a_reference_that_comes_between_the_count_and_the_lock_is_counted(
    pg_bench: Bench, strategy: Strategy, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(pg_bench, "ON DELETE CASCADE")
    pg_bench.at_destination("DELETE FROM sync.invoice")

    def late(*given: Any) -> str:
        pg_bench.at_destination("INSERT INTO sync.invoice VALUES (102, 2)")
        return lock_deleted(*given)

    monkeypatch.setattr(foreign_keys, "lock_deleted", late)
    with pytest.raises(Refused, match=r"delete 1 rows of sync\.invoice"):
        pg_bench.run(_plan(pg_bench, strategy))
    assert pg_bench.rows(INVOICES) == [(102, 2)]


@pytest.mark.parametrize("strategy", first_by_default([Strategy.INCREMENTAL, Strategy.FULL]))
def test_nobody_can_reference_a_row_between_the_last_count_and_its_deletion(
    pg_bench: Bench, strategy: Strategy, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(pg_bench, "ON DELETE CASCADE")
    pg_bench.at_destination("DELETE FROM sync.invoice")
    tried = []

    def deleting(*given: Any, **more: Any) -> AbstractContextManager[None]:
        with pytest.raises(PipekitError) as refused:
            pg_bench.at_destination(
                "DO $$ BEGIN SET LOCAL lock_timeout = '200ms'; INSERT INTO sync.invoice VALUES (102, 2); END $$"
            )
        tried.append(refused.value.code)
        return explained(*given, **more)

    explained = foreign_keys.explain_violations
    monkeypatch.setattr(foreign_keys, "explain_violations", deleting)
    pg_bench.run(_plan(pg_bench, strategy))
    assert tried == ["lock_timeout"]


@pytest.mark.matrix
def test_upsert_leaves_what_references_its_rows_alone(pg_bench: Bench) -> None:
    _fill(pg_bench, "ON DELETE CASCADE")
    result = pg_bench.run(_plan(pg_bench, Strategy.UPSERT))
    assert result.counts == (0, 2, 0)
    assert result.warnings == []
    assert pg_bench.rows(INVOICES) == ALL


@pytest.mark.matrix
def test_only_rows_that_come_again_are_counted(pg_bench: Bench) -> None:
    _fill(pg_bench, "ON DELETE CASCADE")
    plan = _plan(pg_bench, Strategy.INCREMENTAL)
    pg_bench.at_source("DELETE FROM s WHERE id = 1")
    with pytest.raises(Refused, match="delete 1 rows of sync.invoice"):
        pg_bench.run(plan)
    pg_bench.at_destination("DELETE FROM sync.invoice WHERE customer = 2")
    assert pg_bench.run(plan).counts == (0, 1, 0)
    assert pg_bench.rows(INVOICES) == [(100, 1)]


def test_truncate_is_refused_before_the_transfer_with_a_hint_that_is_true(pg_bench: Bench) -> None:
    _fill(pg_bench, "ON DELETE CASCADE")
    with pytest.raises(QueryInvalid, match=r"sync\.t cannot be emptied by TRUNCATE.*sync\.invoice") as caught:
        pg_bench.run(replace(_plan(pg_bench, Strategy.FULL), delete_instead_of_truncate=False))
    assert "full_publish to delete would delete rows of sync.invoice" in caught.value.hint
    assert not any(isinstance(event, events.Staged) for event in pg_bench.failed.events)
    assert pg_bench.rows(INVOICES) == ALL


@pytest.mark.parametrize("strategy", first_by_default([Strategy.INCREMENTAL, Strategy.FULL]))
@pytest.mark.parametrize("action", first_by_default(["", "ON DELETE RESTRICT"]))
def test_rows_that_may_not_go_name_who_references_them(pg_bench: Bench, action: str, strategy: Strategy) -> None:
    _fill(pg_bench, action)
    with pytest.raises(InvalidValue) as caught:
        pg_bench.run(_plan(pg_bench, strategy))
    assert "Rows of sync.invoice (foreign key invoice_customer_fkey" in caught.value.hint
    assert "upsert" in caught.value.hint
    assert pg_bench.rows(INVOICES) == ALL


@pytest.mark.matrix
@pytest.mark.parametrize("strategy", [Strategy.FULL, Strategy.INCREMENTAL])
def test_a_key_checked_at_commit_finds_its_rows_again(pg_bench: Bench, strategy: Strategy) -> None:
    _fill(pg_bench, "DEFERRABLE INITIALLY DEFERRED")
    pg_bench.run(_plan(pg_bench, strategy))
    assert pg_bench.rows("SELECT id, v FROM sync.t ORDER BY 1") == [(1, "a"), (2, "new")]
    assert pg_bench.rows(INVOICES) == ALL


@pytest.mark.matrix
def test_a_row_that_is_missing_at_commit_is_named(pg_bench: Bench) -> None:
    _fill(pg_bench, "DEFERRABLE INITIALLY DEFERRED")
    pg_bench.at_source("DELETE FROM s WHERE id = 1")
    with pytest.raises(InvalidValue, match="invoice_customer_fkey") as caught:
        pg_bench.run(_plan(pg_bench, Strategy.FULL))
    assert "sync.invoice" in caught.value.hint
    assert pg_bench.rows("SELECT count(*) FROM sync.t") == [(2,)]


@pytest.mark.matrix
def test_what_hangs_on_the_referencing_table_is_named_too(pg_bench: Bench) -> None:
    _fill(pg_bench, "ON DELETE CASCADE")
    pg_bench.at_destination("CREATE TABLE sync.line (invoice int REFERENCES sync.invoice ON DELETE CASCADE)")
    with pytest.raises(Refused, match=r"and through them rows of sync\.line"):
        pg_bench.run(_plan(pg_bench, Strategy.INCREMENTAL))


@pytest.mark.matrix
def test_partitions_are_counted_once(pg_bench: Bench) -> None:
    pg_bench.at_source("CREATE TABLE s (id bigint, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'new')")
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id bigint PRIMARY KEY, v text) PARTITION BY RANGE (id)",
        "CREATE TABLE sync.low PARTITION OF sync.t FOR VALUES FROM (0) TO (2)",
        "CREATE TABLE sync.rest PARTITION OF sync.t DEFAULT",
        "INSERT INTO sync.t VALUES (1, 'a'), (2, 'b')",
        "CREATE TABLE sync.invoice (no int, of bigint REFERENCES sync.t ON DELETE CASCADE) PARTITION BY LIST (no)",
        "CREATE TABLE sync.invoices PARTITION OF sync.invoice DEFAULT",
        "INSERT INTO sync.invoice VALUES (100, 1), (101, 2)",
        "CREATE TABLE sync.memo (about bigint REFERENCES sync.low ON DELETE CASCADE)",
        "INSERT INTO sync.memo VALUES (1)",
    )
    with pytest.raises(Refused) as caught:
        pg_bench.run(_plan(pg_bench, Strategy.INCREMENTAL))
    assert "delete 2 rows of sync.invoice (" in caught.value.message
    assert "delete 1 rows of sync.memo (" in caught.value.message
    assert caught.value.message.count("foreign key") == 2


@pytest.mark.matrix
def test_a_view_over_the_referenced_table_hides_nothing(pg_bench: Bench) -> None:
    _fill(pg_bench, "ON DELETE CASCADE")
    pg_bench.at_destination("CREATE VIEW sync.customers AS SELECT id, v FROM sync.t")
    plan = replace(_plan(pg_bench, Strategy.INCREMENTAL), dest_table=TableName("sync", "customers"))
    with pytest.raises(Refused, match=r"delete 2 rows of sync\.invoice"):
        pg_bench.run(plan)
    assert pg_bench.rows(INVOICES) == ALL


@pytest.mark.matrix
def test_a_table_that_references_itself_loses_only_what_does_not_come_again(pg_bench: Bench) -> None:
    pg_bench.at_source("CREATE TABLE s (id bigint, v text)", "INSERT INTO s VALUES (1, 'new')")
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id bigint PRIMARY KEY, v text, boss bigint REFERENCES sync.t ON DELETE CASCADE)",
        "INSERT INTO sync.t VALUES (1, 'a', NULL), (2, 'b', 1)",
    )
    plan = _plan(pg_bench, Strategy.INCREMENTAL)
    with pytest.raises(Refused, match="delete 1 rows of sync.t "):
        pg_bench.run(plan)
    assert pg_bench.rows("SELECT count(*) FROM sync.t") == [(2,)]
    pg_bench.at_source("INSERT INTO s VALUES (2, 'new')")
    assert pg_bench.run(plan).counts == (0, 2, 0)


@pytest.mark.matrix
def test_a_table_that_references_itself_is_refreshed_whole(pg_bench: Bench) -> None:
    pg_bench.at_source("CREATE TABLE s (id bigint, v text)", "INSERT INTO s VALUES (1, 'new')")
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id bigint PRIMARY KEY REFERENCES sync.t ON DELETE CASCADE, v text)",
        "INSERT INTO sync.t VALUES (1, 'a')",
    )
    for by_delete in (False, True):
        plan = replace(_plan(pg_bench, Strategy.FULL), delete_instead_of_truncate=by_delete)
        assert pg_bench.run(plan).counts == (1, 0, 1)


@pytest.mark.matrix
@pytest.mark.parametrize("action", ["CASCADE", "NO ACTION"])
def test_key_sync_takes_rows_of_other_tables_along_only_when_forced(pg_bench: Bench, action: str) -> None:
    _fill(pg_bench, f"ON DELETE {action}")
    pg_bench.at_source("DELETE FROM s WHERE id = 1", "INSERT INTO s SELECT n, 'x' FROM generate_series(3, 30) n")
    plan = _plan(pg_bench, Strategy.UPSERT, key_sync=True)
    with pytest.raises(PipekitError) as caught:
        pg_bench.run(plan)
    assert "sync.invoice (foreign key invoice_customer_fkey" in f"{caught.value.message} {caught.value.hint}"
    assert pg_bench.rows(INVOICES) == ALL
    assert pg_bench.rows("SELECT count(*) FROM sync.t") == [(30,)]
    if action == "CASCADE":
        result = pg_bench.run(replace(plan, force=True))
        assert result.last(events.Reconciled).deleted == 1
        assert any("key_sync would delete 1 rows of sync.invoice" in warning for warning in result.warnings)
        assert pg_bench.rows(INVOICES) == [(101, 2)]


@pytest.mark.matrix
def test_a_referencing_table_that_may_not_be_read_is_refused(pg_bench: Bench) -> None:
    _fill(pg_bench, "ON DELETE CASCADE")
    pg_bench.at_destination("CREATE ROLE loader_of_t LOGIN")
    try:
        pg_bench.at_destination(
            "GRANT ALL ON SCHEMA sync TO loader_of_t",
            "GRANT ALL ON sync.t TO loader_of_t",
            "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO loader_of_t', current_database()); END $$",
        )
        plan = _plan(pg_bench, Strategy.INCREMENTAL, destination=replace(pg_bench.destination, username="loader_of_t"))
        with pytest.raises(Refused, match="how many is not known"):
            pg_bench.run(plan)
    finally:
        pg_bench.at_destination("DROP OWNED BY loader_of_t CASCADE", "DROP ROLE loader_of_t")
    assert pg_bench.rows(INVOICES) == ALL


@pytest.mark.matrix
@pytest.mark.parametrize("strategy", [Strategy.FULL, Strategy.INCREMENTAL])
def test_sqlite_enforces_no_foreign_keys_so_nothing_cascades(
    erp: ConnectionParameters, tmp_path: Path, strategy: Strategy
) -> None:
    url = f"jdbc:sqlite:{tmp_path / 'target.db'}"
    bench = Bench(erp, ConnectionParameters(kind="sqlite", url=url, options={"create": True}, name="target"))
    bench.at_source("CREATE TABLE s (id bigint, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'new')")
    bench.at_destination(
        'CREATE TABLE "sync.t" (id INTEGER PRIMARY KEY, v TEXT)',
        "INSERT INTO \"sync.t\" VALUES (1, 'a'), (2, 'b')",
        'CREATE TABLE invoice (no INTEGER, customer INTEGER REFERENCES "sync.t" ON DELETE CASCADE)',
        "INSERT INTO invoice VALUES (100, 1), (101, 2)",
    )
    bench.run(_plan(bench, strategy))
    assert bench.rows("SELECT no, customer FROM invoice ORDER BY 1") == ALL


def test_a_session_of_sqlite_enforces_no_foreign_keys(
    erp: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enforcing(path: Path) -> sqlite3.Connection:
        # as a build of SQLite does with SQLITE_DEFAULT_FOREIGN_KEYS
        connection = open_file(path)
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    open_file = driver._open
    monkeypatch.setattr(driver, "_open", enforcing)
    bench = Bench(erp, erp)
    bench.at_source(
        "CREATE TABLE t (id INTEGER PRIMARY KEY)",
        "CREATE TABLE child (no INTEGER, customer INTEGER REFERENCES t ON DELETE CASCADE)",
        "INSERT INTO t VALUES (1)",
        "INSERT INTO child VALUES (100, 1)",
        "DELETE FROM t",
    )
    assert bench.rows("SELECT no, customer FROM child") == [(100, 1)]


@pytest.mark.matrix
def test_duckdb_names_who_references_the_rows_and_upsert_rewrites_them(
    erp: ConnectionParameters, tmp_path: Path
) -> None:
    url = f"jdbc:duckdb:{tmp_path / 'lake.db'}"
    bench = Bench(erp, ConnectionParameters(kind="duckdb", url=url, options={"create": True}, name="lake"))
    _fill(bench, "")
    with pytest.raises(InvalidValue) as caught:
        bench.run(_plan(bench, Strategy.INCREMENTAL))
    assert "Rows of sync.invoice (foreign key " in caught.value.hint
    assert "upsert" in caught.value.hint
    assert bench.run(_plan(bench, Strategy.UPSERT)).counts == (0, 2, 0)
    assert bench.rows("SELECT v FROM sync.t ORDER BY id") == [("a",), ("new",)]
