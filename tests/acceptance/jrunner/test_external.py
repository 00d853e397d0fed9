"""Tests of the external route: another program moves the rows; jrunner passes passwords on stdin and counts rows."""

from __future__ import annotations

import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from connections.sdk.claim import Claim
from runs.jrunner.job import Job
from tests.harness.small_databases import System, job, postgresql, sqlite
from tests.processes.commands import alive, wait_until
from tests.processes.jrunner import ROOT, finish, run_job, start_job

_SECRET = "external-s3cr3t"


def _executable(path: Path, script: str) -> str:
    """Write a shell script to the path, make it executable, and return the path."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def _job(tmp_path: Path, database_url: str, script: str) -> tuple[Job, System]:
    """Return a job that the script executes, and its destination: three rows to be added to the one in table t."""
    erp, warehouse = sqlite(tmp_path / "erp.db"), postgresql(database_url)
    erp.execute("CREATE TABLE s (n integer)", "INSERT INTO s VALUES (1), (2), (3)")
    warehouse.execute("CREATE TABLE t (n integer)", "INSERT INTO t VALUES (0)")
    warehouse.parameters = replace(warehouse.parameters, password=_SECRET)
    options = {"external": _executable(tmp_path / "tool", script)}
    return job(erp, "SELECT n FROM s", warehouse, options=options), warehouse


def test_the_program_is_called_with_the_flags_of_jrunner(tmp_path: Path, database_url: str) -> None:
    work, warehouse = _job(
        tmp_path, database_url, f'cd {ROOT} && echo "$@" && exec {sys.executable} -m runs.jrunner "$@"'
    )
    outcome = run_job(work)
    assert outcome.code == 0, outcome.log
    assert outcome.last.items() >= {"event": "done", "route": "external", "rows_read": 3, "rows_written": 3}.items()
    assert "-scp - " in outcome.log and "-dcp - " in outcome.log
    assert _SECRET not in outcome.output + outcome.log
    assert warehouse.rows("SELECT count(*) FROM t") == [(4,)]


def test_exit_code_and_last_lines_of_the_program_are_reported_without_secrets(
    tmp_path: Path, database_url: str
) -> None:
    work, _ = _job(tmp_path, database_url, 'read -r scp; read -r dcp; echo "cannot log in with $dcp" >&2; exit 3')
    outcome = run_job(work)
    assert (outcome.code, outcome.last["error"]["code"]) == (1, "external_failed")
    assert "exit code 3" in outcome.last["error"]["message"]
    assert "cannot log in with ***" in outcome.last["error"]["detail"]
    assert _SECRET not in outcome.output + outcome.log


def test_passwords_are_passed_on_standard_input_and_not_as_arguments_or_in_the_environment(
    tmp_path: Path, database_url: str
) -> None:
    output = tmp_path / "output"
    work, _ = _job(
        tmp_path,
        database_url,
        f"cat > {tmp_path / 'stdin'};"
        f' tr "\\0" "\\n" < /proc/$$/environ > {output}; env >> {output}; echo "$@" >> {output}',
    )
    work = replace(work, source=replace(work.source, password="source-s3cr3t"))
    assert run_job(work).code == 0
    assert (tmp_path / "stdin").read_text() == f"source-s3cr3t\n{_SECRET}\n"
    assert "-dcp -" in output.read_text()
    assert not [secret for secret in ("source-s3cr3t", _SECRET) if secret in output.read_text()]


def test_a_password_that_contains_a_line_break_is_refused(tmp_path: Path, database_url: str) -> None:
    work, _ = _job(tmp_path, database_url, f"touch {tmp_path / 'called'}")
    outcome = run_job(replace(work, source=replace(work.source, password="two\nlines")))
    assert (outcome.code, outcome.last["error"]["code"]) == (1, "configuration_invalid")
    assert not (tmp_path / "called").exists()


def test_a_program_may_close_its_standard_input_without_reading_the_passwords(
    tmp_path: Path, database_url: str
) -> None:
    work, _ = _job(tmp_path, database_url, "exec 0<&-; exit 0")
    assert run_job(work).code == 0


def test_an_executable_that_does_not_exist_is_reported_as_a_missing_driver(tmp_path: Path, database_url: str) -> None:
    work, _ = _job(tmp_path, database_url, "exit 0")
    outcome = run_job(replace(work, options={"external": str(tmp_path / "nothing")}))
    assert (outcome.code, outcome.last["error"]["code"]) == (1, "driver_missing")
    assert "jrunner_path" in outcome.last["error"]["hint"]


@pytest.mark.matrix
@pytest.mark.parametrize("command", ["yes line | head -c 300000000", "head -c 60000000 /dev/zero"])
def test_only_the_beginning_of_a_very_long_output_is_logged_and_its_end_is_in_the_error(
    tmp_path: Path, database_url: str, command: str
) -> None:
    work, _ = _job(tmp_path, database_url, f"echo first; {command}; echo; echo last; exit 3")
    outcome = run_job(work)
    assert (outcome.code, outcome.last["error"]["code"]) == (1, "external_failed")
    assert outcome.last["error"]["detail"].endswith("last\n")
    assert "jrunner: first\n" in outcome.log
    assert "the program has written more than 1 MB; the rest is not logged" in outcome.log
    assert len(outcome.log) < 3_000_000


def test_the_program_is_not_called_if_another_run_has_claimed_the_table(tmp_path: Path, database_url: str) -> None:
    work, warehouse = _job(tmp_path, database_url, f"touch {tmp_path / 'called'}")
    claim = Claim(sql="SELECT run FROM claims", run="mine", module="m")
    warehouse.execute("CREATE TABLE claims (run text)", "INSERT INTO claims VALUES ('another')")
    outcome = run_job(replace(work, claim=claim))
    assert (outcome.code, outcome.last["error"]["code"]) == (1, "overtaken")
    assert not (tmp_path / "called").exists()
    warehouse.execute("UPDATE claims SET run = 'mine'")
    assert run_job(replace(work, claim=claim)).code == 0
    assert (tmp_path / "called").exists()


# a child that ends on SIGTERM, one that ignores it, and one that the shell that started it does not wait for
@pytest.mark.default_cases(1)
@pytest.mark.parametrize("child", ["sleep 60", "(trap '' TERM; sleep 60; sleep 60)", "sleep 60 >/dev/null 2>&1"])
def test_a_cancelled_program_ends_with_the_processes_that_it_started(
    tmp_path: Path, database_url: str, child: str
) -> None:
    pid = tmp_path / "pid"
    work, _ = _job(tmp_path, database_url, f"{child} & echo $! > {pid}; wait")
    process = start_job(work)
    wait_until(lambda: pid.exists() and pid.read_text().endswith("\n"))
    process.terminate()
    outcome = finish(process)
    assert (outcome.code, outcome.last["error"]["code"]) == (130, "cancelled")
    assert not alive(int(pid.read_text()))


def test_processes_started_by_a_failed_program_are_ended(tmp_path: Path, database_url: str) -> None:
    pid = tmp_path / "pid"
    work, _ = _job(tmp_path, database_url, f"sleep 60 >/dev/null 2>&1 & echo $! > {pid}; exit 3")
    outcome = run_job(work)
    assert (outcome.code, outcome.last["error"]["code"]) == (1, "external_failed")
    assert not alive(int(pid.read_text()))
