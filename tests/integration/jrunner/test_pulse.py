"""While nothing moves jrunner still reports, at regular intervals, and says whether the source is at work."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from connections.sdk.parameters import ConnectionParameters
from runs.jrunner.progress import is_reachable
from tests.benches.small_databases import duckdb, job, postgresql, sqlite
from tests.processes.jrunner import ROOT, Outcome, run_job

# reports are counted within three seconds
pytestmark = pytest.mark.serial

BORNE = {"no_progress_timeout": 1}
SLOW = "SELECT 1 AS n FROM pg_sleep(3)"


def reports(ended: Outcome) -> list[bool]:
    """What each report without a change said."""
    assert ended.code == 0, ended.log
    return [event["at_work"] for event in ended.events if "at_work" in event and event["rows"] == 0]


@pytest.mark.parametrize("kind", ["postgresql", "sqlite", "duckdb"])
def test_a_source_that_works_is_said_to(kind: str, database_url: str, tmp_path: Path) -> None:
    made = {
        "postgresql": lambda: postgresql(database_url),
        "sqlite": lambda: sqlite(tmp_path / "d.db"),
        "duckdb": lambda: duckdb(tmp_path / "d.duckdb"),
    }
    destination = made[kind]()
    destination.execute("CREATE TABLE t (n integer)")
    found = reports(run_job(job(postgresql(database_url), SLOW, destination, options=BORNE)))
    assert len(found) > 2
    assert True in found


def test_duckdb_s_progress_bar_is_not_printed_among_the_events(database_url: str, tmp_path: Path) -> None:
    destination = duckdb(tmp_path / "d.duckdb")
    destination.execute("CREATE TABLE t (n integer)")
    work = job(postgresql(database_url), SLOW, destination)
    # run so, DuckDB takes the process for an interactive one
    code = "import runpy, sys; sys.argv[1:] = ['--job', '-']; runpy.run_module('runs.jrunner', run_name='__main__')"
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, input=json.dumps(work.as_json()), text=True, capture_output=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["rows_written"] == 1
    assert all(line.startswith("{") for line in done.stdout.splitlines())


def test_a_program_that_moves_the_rows_is_believed_as_long_as_both_systems_answer(
    database_url: str, tmp_path: Path
) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\nsleep 2\n")
    tool.chmod(0o755)
    warehouse = postgresql(database_url)
    warehouse.execute("CREATE TABLE t (n integer)")
    work = job(warehouse, "SELECT 1", warehouse, options={**BORNE, "external": str(tool)})
    assert True in reports(run_job(work))
    nobody = ConnectionParameters(kind="postgresql", url="postgresql://127.0.0.1:1/x", name="nobody")
    found = reports(run_job(replace(work, source=nobody)))
    assert found
    assert True not in found


def test_what_cannot_be_asked_from_here_is_believed_to_answer() -> None:
    assert is_reachable(ConnectionParameters(kind="as400", url="jdbc:as400://erp.invalid"))
    assert not is_reachable(ConnectionParameters(kind="postgresql", url="postgresql://db.invalid/x"))
