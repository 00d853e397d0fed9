"""A writer writes only what its run may: another run's claim stops it, and its own is held until it has committed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from connections.sdk.claim import Claim
from connections.sdk.errors import Overtaken
from tests.benches.gates import GATE, closed_gate
from tests.benches.small_databases import System, duckdb, job, moved, postgresql, sqlite
from tests.processes.commands import wait_until
from tests.processes.jrunner import finish, start_job

Systems = Callable[[str], System]
ROUTES = [("postgresql", "postgresql"), ("sqlite", "postgresql"), ("postgresql", "sqlite"), ("postgresql", "duckdb")]


@pytest.fixture
def system(database_url: str, tmp_path: Path) -> Systems:
    def made(kind: str) -> System:
        if kind == "postgresql":
            return postgresql(database_url)
        return (sqlite if kind == "sqlite" else duckdb)(tmp_path / f"x.{kind}")

    return made


def claimed(destination: System, *, by: str) -> Claim:
    destination.execute("CREATE TABLE claims (module text, run text)", f"INSERT INTO claims VALUES ('m', '{by}')")
    shared = " FOR SHARE" if destination.parameters.kind == "postgresql" else ""
    return Claim(sql=f"SELECT run FROM claims WHERE module = 'm'{shared}", run="mine", module="m")


@pytest.mark.parametrize(("source", "destination"), ROUTES)
def test_a_writer_whose_table_another_run_has_writes_and_clears_nothing(
    system: Systems, source: str, destination: str
) -> None:
    reading, writing = system(source), system(destination)
    reading.execute("CREATE TABLE s (n integer)", "INSERT INTO s VALUES (1), (2)")
    writing.execute("CREATE TABLE t (n integer)", "INSERT INTO t VALUES (7)")
    claim = claimed(writing, by="another")
    with pytest.raises(Overtaken, match="Another run of m took over"):
        moved(job(reading, "SELECT n FROM s", writing, claim=claim, clear=True))
    assert writing.rows("SELECT n FROM t") == [(7,)]
    writing.execute("UPDATE claims SET run = 'mine'")
    moved(job(reading, "SELECT n FROM s", writing, claim=claim, clear=True))
    assert writing.rows("SELECT n FROM t ORDER BY n") == [(1,), (2,)]


def test_nobody_takes_the_claim_while_rows_are_being_written(database_url: str) -> None:
    there = postgresql(database_url)
    there.execute("CREATE TABLE t (n integer, s text)")
    query = f"SELECT g AS n, CASE g WHEN 100 THEN {GATE} ELSE '' END AS s FROM generate_series(1, 100) g"
    # by the transaction that writes: before it, another one asks only
    held = (
        "SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE query ILIKE 'COPY%'"
        " AND relation = 'claims'::regclass AND mode = 'RowShareLock'"
    )
    waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND pid = %s"
    with (
        psycopg.connect(database_url, autocommit=True) as looking,
        psycopg.connect(database_url, autocommit=True) as other,
    ):
        taking = threading.Thread(target=other.execute, args=("UPDATE claims SET run = 'another'",))
        with closed_gate(database_url):
            process = start_job(job(there, query, there, claim=claimed(there, by="mine")))
            wait_until(lambda: looking.execute(held).fetchone())
            taking.start()
            wait_until(lambda: looking.execute(waits, [other.info.backend_pid]).fetchone())
            assert looking.execute("SELECT count(*) FROM t").fetchone() == (0,)
        taking.join()
        assert looking.execute("SELECT run FROM claims").fetchone() == ("another",)
        assert looking.execute("SELECT count(*) FROM t").fetchone() == (100,)
    assert finish(process).last["event"] == "done"


def test_a_process_that_comes_too_late_says_so(database_url: str) -> None:
    there = postgresql(database_url)
    there.execute("CREATE TABLE t (n integer)")
    ended = finish(start_job(job(there, "SELECT 1 AS n", there, claim=claimed(there, by="another"))))
    assert (ended.code, ended.last["error"]["code"]) == (1, "overtaken")
    assert there.rows("SELECT * FROM t") == []
