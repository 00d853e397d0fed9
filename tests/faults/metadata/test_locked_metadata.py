"""Another process holds the metadata's write lock for longer than a run waits for it: the run publishes nevertheless.

Its result is kept in a file and imported into the metadata by the next tick or run.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from runs.engine.plan import Strategy
from tests.faults.changing_source import Generator, digest, stored_rows
from tests.faults.installs import database, runs, start_with_short_timeouts
from tests.faults.killed_runs import fault_environment
from tests.harness.bench import Bench
from tests.processes.commands import wait_until
from tests.processes.install import Install

pytestmark = pytest.mark.matrix

# connects, then executes the statement at the first line on its standard input, and exits at the second
_PROGRAM = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
print("ready", flush=True)
sys.stdin.readline()
connection.execute(sys.argv[2])
print("locked", flush=True)
sys.stdin.readline()
"""
LOCK, NO_LOCK = "BEGIN IMMEDIATE", "SELECT 1"


@pytest.fixture
def generator(pg_bench: Bench) -> Generator:
    generator = Generator(pg_bench, Strategy.APPEND, Random(2))
    generator.create_table(60)
    return generator


@pytest.fixture
def install(install_at: Callable[[Path, Generator], Install], generator: Generator, tmp_path: Path) -> Install:
    """An install that has run its module once; the source has changed since."""
    install = install_at(tmp_path / "var", generator)
    assert install.manage("runmodule", "orders", "--quiet").code == 0
    generator.change_rows()
    return install


@contextmanager
def lock_process(install: Install, statement: str) -> Iterator[subprocess.Popen[str]]:
    """Start another process for the block that executes the statement at `lock` and keeps its lock to the end."""
    argv = [sys.executable, "-c", _PROGRAM, str(database(install)), statement]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.communicate()


def lock(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "locked\n"


def run_while_locked(install: Install, locker: subprocess.Popen[str], log: Path) -> None:
    """Run the module with locked metadata from the end of its transfer on; check that nothing was recorded.

    Heartbeats are due meanwhile, and the run's result.
    """
    run = start_with_short_timeouts(install, **fault_environment("transfer.finished=sleep:5", log))
    try:
        wait_until(lambda: log.exists() and "transfer.finished sleep" in log.read_text())
        lock(locker)
        before = runs(install, "heartbeat")[-1]
        out, err = run.communicate(timeout=90)
    finally:
        run.send_signal(signal.SIGKILL)
    assert run.returncode == 0, err
    assert json.loads(out)["status"] == "success"
    assert (runs(install)[-1], runs(install, "heartbeat")[-1]) == ("running", before), "the metadata was not locked"


@pytest.mark.parametrize("command", [("tick",), ("runmodule", "orders", "--quiet")], ids=" ".join)
def test_a_run_whose_result_cannot_be_written_has_published_and_is_recorded_by_the_next_command(
    install: Install, generator: Generator, command: tuple[str, ...], tmp_path: Path
) -> None:
    with lock_process(install, LOCK) as locker:
        run_while_locked(install, locker, tmp_path / "points")
        assert digest(stored_rows(generator.bench)) == digest(generator.expected())
        assert len(list((install.data_dir / "spool").glob("*.json"))) == 1
    result = install.manage(*command)
    assert result.code == 0, result.err
    status, inserted, warnings, is_published = runs(install, "status, inserted, warnings, published_at IS NOT NULL")[1]
    assert (status, inserted, is_published) == ("success", 30, 1)
    # every batch has one watermark, of which each run warns
    assert ["30 rows share the highest w." in warning for warning in json.loads(warnings)] == [True]
    assert not list((install.data_dir / "spool").iterdir())
    log = (install.data_dir / "logs" / "runs" / "2.log").read_text()
    assert "the metadata could not be written: " in log
    assert "for the next tick" in log
    generator.change_rows()
    assert install.manage("runmodule", "orders", "--quiet").code == 0
    assert digest(stored_rows(generator.bench)) == digest(generator.expected())
    assert set(runs(install)) == {"success"}


def test_the_check_fails_if_the_metadata_is_not_locked(install: Install, tmp_path: Path) -> None:
    with (
        lock_process(install, NO_LOCK) as locker,
        pytest.raises(AssertionError, match="the metadata was not locked"),
    ):
        run_while_locked(install, locker, tmp_path / "points")
    assert runs(install) == ["success"] * 2
