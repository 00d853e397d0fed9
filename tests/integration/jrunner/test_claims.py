"""Claims on the destination: a run without the claim writes nothing, and its claim is locked while it writes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from connections.sdk.claim import Claim
from connections.sdk.errors import Overtaken
from tests.harness.blocked_queries import BLOCKING_EXPRESSION, block_queries
from tests.harness.small_databases import System, duckdb, job, postgresql, sqlite, transfer_rows
from tests.processes.commands import wait_until
from tests.processes.jrunner import finish, start_job

Systems = Callable[[str], System]
ROUTES = [("postgresql", "postgresql"), ("sqlite", "postgresql"), ("postgresql", "sqlite"), ("postgresql", "duckdb")]


@pytest.fixture
def system(database_url: str, tmp_path: Path) -> Systems:
    def open_system(kind: str) -> System:
        if kind == "postgresql":
            return postgresql(database_url)
        return (sqlite if kind == "sqlite" else duckdb)(tmp_path / f"x.{kind}")

    return open_system


def create_claim(destination: System, *, run: str) -> Claim:
    destination.execute("CREATE TABLE claims (module text, run text)", f"INSERT INTO claims VALUES ('m', '{run}')")
    shared = " FOR SHARE" if destination.parameters.kind == "postgresql" else ""
    return Claim(sql=f"SELECT run FROM claims WHERE module = 'm'{shared}", run="mine", module="m")


@pytest.mark.parametrize(("source", "destination"), ROUTES)
def test_a_run_whose_table_is_claimed_by_another_run_neither_writes_nor_clears(
    system: Systems, source: str, destination: str
) -> None:
    source_system, dest_system = system(source), system(destination)
    source_system.execute("CREATE TABLE s (n integer)", "INSERT INTO s VALUES (1), (2)")
    dest_system.execute("CREATE TABLE t (n integer)", "INSERT INTO t VALUES (7)")
    claim = create_claim(dest_system, run="another")
    with pytest.raises(Overtaken, match="Another run of m took over"):
        transfer_rows(job(source_system, "SELECT n FROM s", dest_system, claim=claim, clear=True))
    assert dest_system.rows("SELECT n FROM t") == [(7,)]
    dest_system.execute("UPDATE claims SET run = 'mine'")
    transfer_rows(job(source_system, "SELECT n FROM s", dest_system, claim=claim, clear=True))
    assert dest_system.rows("SELECT n FROM t ORDER BY n") == [(1,), (2,)]


def test_the_claim_cannot_be_taken_while_rows_are_written(database_url: str) -> None:
    warehouse = postgresql(database_url)
    warehouse.execute("CREATE TABLE t (n integer, s text)")
    query = f"SELECT g AS n, CASE g WHEN 100 THEN {BLOCKING_EXPRESSION} ELSE '' END AS s FROM generate_series(1, 100) g"
    # held by the transaction that writes the rows; an earlier one only reads the claim
    share_lock = (
        "SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE query ILIKE 'COPY%'"
        " AND relation = 'claims'::regclass AND mode = 'RowShareLock'"
    )
    waiting_lock = "SELECT 1 FROM pg_locks WHERE NOT granted AND pid = %s"
    with (
        psycopg.connect(database_url, autocommit=True) as observer,
        psycopg.connect(database_url, autocommit=True) as other,
    ):
        thread = threading.Thread(target=other.execute, args=("UPDATE claims SET run = 'another'",))
        with block_queries(database_url):
            process = start_job(job(warehouse, query, warehouse, claim=create_claim(warehouse, run="mine")))
            wait_until(lambda: observer.execute(share_lock).fetchone())
            thread.start()
            wait_until(lambda: observer.execute(waiting_lock, [other.info.backend_pid]).fetchone())
            assert observer.execute("SELECT count(*) FROM t").fetchone() == (0,)
        thread.join()
        assert observer.execute("SELECT run FROM claims").fetchone() == ("another",)
        assert observer.execute("SELECT count(*) FROM t").fetchone() == (100,)
    assert finish(process).last["event"] == "done"


def test_a_process_whose_claim_was_taken_fails_with_overtaken(database_url: str) -> None:
    warehouse = postgresql(database_url)
    warehouse.execute("CREATE TABLE t (n integer)")
    outcome = finish(
        start_job(job(warehouse, "SELECT 1 AS n", warehouse, claim=create_claim(warehouse, run="another")))
    )
    assert (outcome.code, outcome.last["error"]["code"]) == (1, "overtaken")
    assert warehouse.rows("SELECT * FROM t") == []
