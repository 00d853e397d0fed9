"""The external route: somebody else's executable moves the rows; secrets go by environment, rows are counted here."""

from __future__ import annotations

import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from connections.sdk.claim import Claim
from runs.jrunner.job import Job
from tests.benches.small_databases import System, job, postgresql, sqlite
from tests.processes.jrunner import ROOT, run_job

_SECRET = "external-s3cr3t"


def _executable(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def _job(tmp_path: Path, database_url: str, script: str) -> tuple[Job, System]:
    erp, warehouse = sqlite(tmp_path / "erp.db"), postgresql(database_url)
    erp.execute("CREATE TABLE s (n integer)", "INSERT INTO s VALUES (1), (2), (3)")
    warehouse.execute("CREATE TABLE t (n integer)", "INSERT INTO t VALUES (0)")
    warehouse.parameters = replace(warehouse.parameters, password=_SECRET)
    options = {"external": _executable(tmp_path / "tool", script)}
    return job(erp, "SELECT n FROM s", warehouse, options=options), warehouse


def test_it_is_called_with_the_flags_that_jrunner_itself_understands(tmp_path: Path, database_url: str) -> None:
    work, warehouse = _job(
        tmp_path, database_url, f'cd {ROOT} && echo "$@" && exec {sys.executable} -m runs.jrunner "$@"'
    )
    ended = run_job(work)
    assert ended.code == 0, ended.log
    assert ended.last.items() >= {"event": "done", "route": "external", "rows_read": 3, "rows_written": 3}.items()
    assert "-scp - " in ended.log and "-dcp - " in ended.log
    assert _SECRET not in ended.output + ended.log
    assert warehouse.rows("SELECT count(*) FROM t") == [(4,)]


def test_its_exit_code_and_last_lines_are_told_without_secrets(tmp_path: Path, database_url: str) -> None:
    work, _ = _job(tmp_path, database_url, 'read -r scp; read -r dcp; echo "cannot log in with $dcp" >&2; exit 3')
    ended = run_job(work)
    assert (ended.code, ended.last["error"]["code"]) == (1, "external_failed")
    assert "exit code 3" in ended.last["error"]["message"]
    assert "cannot log in with ***" in ended.last["error"]["detail"]
    assert _SECRET not in ended.output + ended.log


def test_passwords_come_on_standard_input_and_are_neither_arguments_nor_in_the_environment(
    tmp_path: Path, database_url: str
) -> None:
    seen = tmp_path / "seen"
    work, _ = _job(
        tmp_path,
        database_url,
        f'cat > {tmp_path / "stdin"}; tr "\\0" "\\n" < /proc/$$/environ > {seen}; env >> {seen}; echo "$@" >> {seen}',
    )
    work = replace(work, source=replace(work.source, password="source-s3cr3t"))
    assert run_job(work).code == 0
    assert (tmp_path / "stdin").read_text() == f"source-s3cr3t\n{_SECRET}\n"
    assert "-dcp -" in seen.read_text()
    assert not [secret for secret in ("source-s3cr3t", _SECRET) if secret in seen.read_text()]


def test_a_password_that_no_line_can_hold_is_refused_and_not_cut(tmp_path: Path, database_url: str) -> None:
    work, _ = _job(tmp_path, database_url, f"touch {tmp_path / 'called'}")
    ended = run_job(replace(work, source=replace(work.source, password="two\nlines")))
    assert (ended.code, ended.last["error"]["code"]) == (1, "configuration_invalid")
    assert not (tmp_path / "called").exists()


def test_a_program_that_reads_no_password_is_no_error(tmp_path: Path, database_url: str) -> None:
    work, _ = _job(tmp_path, database_url, "exec 0<&-; exit 0")
    assert run_job(work).code == 0


def test_an_executable_that_is_missing_is_one_clear_error(tmp_path: Path, database_url: str) -> None:
    work, _ = _job(tmp_path, database_url, "exit 0")
    ended = run_job(replace(work, options={"external": str(tmp_path / "nothing")}))
    assert (ended.code, ended.last["error"]["code"]) == (1, "driver_missing")
    assert "jrunner_path" in ended.last["error"]["hint"]


@pytest.mark.parametrize("written", ["yes line | head -c 300000000", "head -c 60000000 /dev/zero"])
def test_of_very_much_output_the_beginning_and_the_end_are_logged(
    tmp_path: Path, database_url: str, written: str
) -> None:
    work, _ = _job(tmp_path, database_url, f"echo first; {written}; echo; echo last; exit 3")
    ended = run_job(work)
    assert (ended.code, ended.last["error"]["code"]) == (1, "external_failed")
    assert ended.last["error"]["detail"].endswith("last\n")
    assert "jrunner: first\n" in ended.log
    assert "the program has written more than 1 MB; the rest is not logged" in ended.log
    assert len(ended.log) < 3_000_000


def test_it_is_not_called_when_another_run_has_the_table(tmp_path: Path, database_url: str) -> None:
    work, warehouse = _job(tmp_path, database_url, f"touch {tmp_path / 'called'}")
    claim = Claim(sql="SELECT run FROM claims", run="mine", module="m")
    warehouse.execute("CREATE TABLE claims (run text)", "INSERT INTO claims VALUES ('another')")
    ended = run_job(replace(work, claim=claim))
    assert (ended.code, ended.last["error"]["code"]) == (1, "overtaken")
    assert not (tmp_path / "called").exists()
    warehouse.execute("UPDATE claims SET run = 'mine'")
    assert run_job(replace(work, claim=claim)).code == 0
    assert (tmp_path / "called").exists()
