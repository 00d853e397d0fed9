"""Tests of the command `runmodule` when it is interrupted, or its output is closed or cannot be written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from modules.models import Module
from runs.models import Run
from tests.harness.bench import Bench
from tests.processes.commands import ROOT, resume_when_stopped, start_in_new_interpreter, wait_until

# each test starts several processes
pytestmark = pytest.mark.matrix

QUERY = "SELECT k FROM s"
Save = Callable[..., Module]
FULL = Path("/dev/full")


def start(*words: str, **options: Any) -> subprocess.Popen[str]:
    """Start `runmodule s`; ``options`` are those of Popen, with the variables to add as ``env``."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "pipekit_site.settings", **options.pop("env", {})}
    return start_in_new_interpreter(["runmodule", "s", *words], environment, text=True, **options)


@pytest.fixture
def source(bench: Bench, save_module: Save) -> Bench:
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1), (2), (3)")
    save_module("s", QUERY)
    return bench


@pytest.fixture
def full() -> Any:
    if not FULL.exists():
        pytest.skip("this machine has no /dev/full")
    with FULL.open("w") as file:
        yield file


def test_a_run_succeeds_though_its_progress_cannot_be_written(source: Bench, full: IO[str]) -> None:
    process = start("--json", stderr=full)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["status"]) == (0, "success")
    assert source.rows("SELECT count(*) FROM sync.s") == [(3,)]


def test_a_run_succeeds_though_its_stderr_has_been_closed(source: Bench) -> None:
    read, write = os.pipe()
    os.close(read)
    process = start("--json", stderr=write)
    os.close(write)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["status"]) == (0, "success")


def test_a_result_that_cannot_be_written_is_reported_and_does_not_change_the_exit_code(
    source: Bench, full: IO[str]
) -> None:
    process = start("--json", stdout=full)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "The result could not be written to stdout: No space left on device." in err
    assert "Traceback" not in err
    assert Run.objects.get().status == "success"


def test_a_run_without_standard_streams_succeeds(source: Bench) -> None:
    command = f"exec {sys.executable} {ROOT}/manage.py runmodule s --json >&- 2>&- <&-"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "pipekit_site.settings"}
    assert subprocess.run(["sh", "-c", command], env=environment, timeout=60, check=False).returncode == 0
    assert source.rows("SELECT count(*) FROM sync.s") == [(3,)]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 130)])
def test_a_signal_before_the_run_has_begun_cancels_it(
    source: Bench, number: signal.Signals, code: int, tmp_path: Path
) -> None:
    log = tmp_path / "faults"
    faults = {"PIPEKIT_FAULTS": "run.inserted=stop", "PIPEKIT_FAULT_LOG": str(log)}
    process = start("--json", env=faults)
    wait_until(lambda: log.exists() and "run.inserted stop" in log.read_text())
    process.send_signal(number)
    resume_when_stopped(process.pid)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["status"]) == (code, "cancelled")
    assert "Traceback" not in err
    run = Run.objects.get()
    assert run.error is not None
    assert (run.status, run.error["code"]) == ("cancelled", "cancelled")


def test_a_closed_terminal_cancels_the_run(source: Bench) -> None:
    process = start("--json", env={"PIPEKIT_FAULTS": "publish.before_commit=sleep:600"})
    wait_until(lambda: Run.objects.filter(staged=3).exists())
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["status"]) == (130, "cancelled")
    assert source.rows("SELECT to_regclass('sync.s')") == [(None,)]


def test_a_run_under_nohup_continues_after_its_terminal_is_closed(source: Bench) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = start("--json", env={"PIPEKIT_FAULTS": "publish.before_commit=stop"}, preexec_fn=ignore)
    wait_until(lambda: Run.objects.filter(staged=3).exists())
    process.send_signal(signal.SIGHUP)
    resume_when_stopped(process.pid)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["status"]) == (0, "success")


def test_only_owner_and_group_may_read_the_log_whatever_the_umask(source: Bench) -> None:
    process = start("--quiet", preexec_fn=lambda: os.umask(0))
    process.communicate(timeout=60)
    log = Run.objects.get().log_file
    assert [path.stat().st_mode & 0o777 for path in (log, log.parent)] == [0o640, 0o750]
