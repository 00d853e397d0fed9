"""Progress reports while no rows arrive: at regular intervals, with whether the source is busy."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from connections.sdk.parameters import ConnectionParameters
from runs.jrunner.progress_reports import is_reachable
from tests.harness.small_databases import duckdb, job, postgresql, sqlite
from tests.processes.jrunner import ROOT, JrunnerResult, run_job

# the tests count the reports of three seconds
pytestmark = pytest.mark.serial

OPTIONS = {"no_progress_timeout": 1}
SLOW = "SELECT 1 AS n FROM pg_sleep(3)"


def busy_reports(outcome: JrunnerResult) -> list[bool]:
    """Return the `at_work` of each report that was made before any row arrived."""
    assert outcome.code == 0, outcome.log
    return [event["at_work"] for event in outcome.events if "at_work" in event and event["rows"] == 0]


@pytest.mark.parametrize("kind", ["postgresql", "sqlite", "duckdb"])
def test_progress_reports_say_that_the_source_is_busy(kind: str, database_url: str, tmp_path: Path) -> None:
    destinations = {
        "postgresql": lambda: postgresql(database_url),
        "sqlite": lambda: sqlite(tmp_path / "d.db"),
        "duckdb": lambda: duckdb(tmp_path / "d.duckdb"),
    }
    destination = destinations[kind]()
    destination.execute("CREATE TABLE t (n integer)")
    reports = busy_reports(run_job(job(postgresql(database_url), SLOW, destination, options=OPTIONS)))
    assert len(reports) > 2
    assert True in reports


def test_the_progress_bar_of_duckdb_is_not_printed_between_the_events(database_url: str, tmp_path: Path) -> None:
    destination = duckdb(tmp_path / "d.duckdb")
    destination.execute("CREATE TABLE t (n integer)")
    work = job(postgresql(database_url), SLOW, destination)
    # in a process started like this, DuckDB assumes an interactive session
    code = "import runpy, sys; sys.argv[1:] = ['--job', '-']; runpy.run_module('runs.jrunner', run_name='__main__')"
    argv = [sys.executable, "-c", code]
    process = subprocess.run(
        argv, input=json.dumps(work.as_json()), text=True, capture_output=True, timeout=120, cwd=ROOT
    )
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout.splitlines()[-1])["rows_written"] == 1
    assert all(line.startswith("{") for line in process.stdout.splitlines())


def test_an_external_program_is_busy_as_long_as_both_systems_are_reachable(database_url: str, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\nsleep 2\n")
    tool.chmod(0o755)
    warehouse = postgresql(database_url)
    warehouse.execute("CREATE TABLE t (n integer)")
    work = job(warehouse, "SELECT 1", warehouse, options={**OPTIONS, "external": str(tool)})
    assert True in busy_reports(run_job(work))
    unreachable = ConnectionParameters(kind="postgresql", url="postgresql://127.0.0.1:1/x", name="unreachable")
    reports = busy_reports(run_job(replace(work, source=unreachable)))
    assert reports
    assert True not in reports


def test_a_system_that_cannot_be_checked_is_assumed_to_be_reachable() -> None:
    assert is_reachable(ConnectionParameters(kind="as400", url="jdbc:as400://erp.invalid"))
    assert not is_reachable(ConnectionParameters(kind="postgresql", url="postgresql://db.invalid/x"))
