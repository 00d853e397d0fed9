"""Transfers that end early: the destination is unchanged, and no statement is left running in either system."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from runs.jrunner.cancel import Cancellation
from runs.jrunner.job import Job
from runs.jrunner.reporter import Reporter
from runs.jrunner.routes.choose import choose_route
from tests.harness.small_databases import System, duckdb, job, postgresql, sqlite
from tests.processes.commands import alive, wait_until
from tests.processes.jrunner import ROOT, finish, start_job

# returns rows for minutes, a few at a time
_SLOW = "SELECT g AS n, repeat('x', 4000) AS v, pg_sleep(0.005)::text AS s FROM generate_series(1, 100000) g"
_ACTIVE_STATEMENTS = (
    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%%generate_series%%' AND pid <> %s"
)


def _active_statements(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(_ACTIVE_STATEMENTS, (connection.info.backend_pid,)).fetchone()
    assert row
    return int(row[0])


def _is_copying(url: str) -> Callable[[], bool]:
    """Return a check of whether the COPY of the source has been running for 0.3 seconds, so that rows are sent."""

    def check() -> bool:
        with psycopg.connect(url) as connection:
            rows = connection.execute(
                "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query ILIKE 'copy%generate_series%' "
                "AND clock_timestamp() - query_start > interval '0.3 s'"
            ).fetchall()
        return bool(rows)

    return check


@pytest.fixture(params=["postgresql", *(pytest.param(kind, marks=pytest.mark.matrix) for kind in ("sqlite", "duckdb"))])
def slow_job(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> tuple[Job, System]:
    """Create a job that takes minutes, by the raw route or by arrow, and a destination with an old row."""
    destinations = {
        "postgresql": lambda: postgresql(database_url),
        "sqlite": lambda: sqlite(tmp_path / "d.db"),
        "duckdb": lambda: duckdb(tmp_path / "d.duckdb"),
    }
    destination = destinations[request.param]()
    destination.execute("CREATE TABLE t (n integer, v text, s text)", "INSERT INTO t VALUES (1, 'old', 'old')")
    return job(postgresql(database_url), _SLOW, destination, clear=True), destination


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_transfer_leaves_no_rows_and_no_statements(
    slow_job: tuple[Job, System], database_url: str, number: signal.Signals
) -> None:
    work, destination = slow_job
    process = start_job(work)
    wait_until(_is_copying(database_url))
    process.send_signal(number)
    outcome = finish(process)
    assert outcome.code == 130
    assert outcome.last["error"]["code"] == "cancelled"
    wait_until(lambda: not _active_statements(database_url))
    assert destination.rows("SELECT * FROM t") == [(1, "old", "old")]


def test_a_terminated_source_session_is_an_error_that_leaves_no_rows(
    slow_job: tuple[Job, System], database_url: str
) -> None:
    work, destination = slow_job
    process = start_job(work)
    wait_until(_is_copying(database_url))
    with psycopg.connect(database_url, autocommit=True) as connection:
        terminated = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'copy%generate_series%' "
            "AND pid <> pg_backend_pid()"
        ).fetchall()
    assert terminated == [(True,)]
    outcome = finish(process)
    assert outcome.code == 1
    assert outcome.last["error"]["code"] == "connection_lost"
    assert destination.rows("SELECT * FROM t") == [(1, "old", "old")]


def test_an_error_of_the_destination_during_a_copy_from_a_file_is_what_its_server_said(
    database_url: str, tmp_path: Path
) -> None:
    source, destination = sqlite(tmp_path / "s.db"), postgresql(database_url)
    source.execute("CREATE TABLE empty (n integer)")
    destination.execute("CREATE TABLE t (n integer, v text)", "INSERT INTO t VALUES (1, 'old')")
    numbers = "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < 1000000000)"
    process = start_job(job(source, f"{numbers} SELECT n, 'v' FROM g", destination, clear=True))
    with psycopg.connect(database_url, autocommit=True) as connection:
        terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_progress_copy WHERE tuples_processed > 100000"
        wait_until(lambda: connection.execute(terminate).fetchone() == (True,))
    outcome = finish(process)
    assert outcome.code == 1
    assert outcome.last["error"]["code"] == "connection_lost"
    assert "terminating connection due to administrator command" in outcome.last["error"]["message"]
    assert destination.rows("SELECT * FROM t") == [(1, "old")]


def test_jrunner_ends_when_its_parent_is_killed(
    slow_job: tuple[Job, System], database_url: str, tmp_path: Path
) -> None:
    work, destination = slow_job
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, json.dumps(work.as_json()), str(tmp_path / "pid")], cwd=ROOT
    )
    wait_until(_is_copying(database_url))
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
    child = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.wait()
    wait_until(lambda: not alive(child))
    wait_until(lambda: not _active_statements(database_url))
    assert destination.rows("SELECT * FROM t") == [(1, "old", "old")]


_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-m", "runs.jrunner", "--job", "-"], stdin=subprocess.PIPE,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
child.stdin.write(sys.argv[1])
child.stdin.close()
with open(sys.argv[2], "w") as file:
    file.write(f"{child.pid}\\n")
time.sleep(600)
"""


def test_a_value_refused_by_the_destination_stops_the_source(database_url: str) -> None:
    warehouse = postgresql(database_url)
    warehouse.execute("CREATE TABLE t (n integer CHECK (n < 20), v text, s text)")
    outcome = finish(start_job(job(warehouse, _SLOW, warehouse)))
    assert outcome.last["error"]["code"] == "value_misfit"
    wait_until(lambda: not _active_statements(database_url))
    assert warehouse.rows("SELECT * FROM t") == []


def test_a_cancel_during_the_commit_hints_that_the_rows_may_have_been_written(database_url: str) -> None:
    warehouse = postgresql(database_url)
    warehouse.execute(
        "CREATE TABLE t (n integer)",
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(120); RETURN NULL; END'",
        "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION wait()",
    )
    process = start_job(job(warehouse, "SELECT 1 AS n", warehouse))
    with psycopg.connect(database_url, autocommit=True) as other:
        committing = "SELECT 1 FROM pg_stat_activity WHERE query = 'COMMIT;' AND wait_event = 'PgSleep'"
        wait_until(lambda: other.execute(committing).fetchone())
    process.send_signal(signal.SIGTERM)
    outcome = finish(process)
    assert (outcome.code, outcome.last["error"]["code"]) == (130, "cancelled")
    assert "check whether the rows are there" in outcome.last["error"]["hint"]


def test_a_stop_request_after_the_transfer_has_no_effect(database_url: str) -> None:
    """A parent that got a failure event requests a stop, although jrunner is ending already."""
    warehouse = postgresql(database_url)
    warehouse.execute("CREATE TABLE t (n integer)")
    work, cancellation = job(warehouse, "SELECT 1 AS n", warehouse), Cancellation()
    route = choose_route(work)
    assert route.name == "raw"
    assert route.copy(work, Reporter(events=False), cancellation).written == 1
    cancellation.request()
    assert cancellation.requested.is_set()
