"""Another process holds the metadata's write lock, longer than a run waits for it: the run publishes all the same.

What it has to say of its end is kept in a file, and is in the metadata with the next tick or the next run.
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
from tests.benches.bench import Bench
from tests.faults.changing_source import Generator, evidence, stored
from tests.faults.installs import database, impatient, runs
from tests.faults.killed_runs import faults
from tests.processes.commands import wait_until
from tests.processes.install import Install

pytestmark = pytest.mark.matrix

_LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
print("ready", flush=True)
sys.stdin.readline()
connection.execute(sys.argv[2])
print("locked", flush=True)
sys.stdin.readline()
"""
LOCK, NOTHING = "BEGIN IMMEDIATE", "SELECT 1"


@pytest.fixture
def generator(pg_bench: Bench) -> Generator:
    found = Generator(pg_bench, Strategy.APPEND, Random(2))
    found.begin(60)
    return found


@pytest.fixture
def install(install_at: Callable[[Path, Generator], Install], generator: Generator, tmp_path: Path) -> Install:
    """An install that has run its module once."""
    found = install_at(tmp_path / "var", generator)
    assert found.manage("runmodule", "orders", "--quiet").code == 0
    generator.move_on()
    return found


@contextmanager
def locker(install: Install, statement: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that takes the lock when it is told to, and keeps it until the block ends."""
    argv = [sys.executable, "-c", _LOCKER, str(database(install)), statement]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.communicate()


def take(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "locked\n"


def ran(install: Install, process: subprocess.Popen[str], log: Path) -> None:
    """Run the module, locked from the end of its transfer, through signs of life that are due and through its end."""
    running = impatient(install, **faults("transfer.finished=sleep:5", log))
    try:
        wait_until(lambda: log.exists() and "transfer.finished sleep" in log.read_text())
        take(process)
        before = runs(install, "heartbeat")[-1]
        out, err = running.communicate(timeout=90)
    finally:
        running.send_signal(signal.SIGKILL)
    assert running.returncode == 0, err
    assert json.loads(out)["status"] == "success"
    assert (runs(install)[-1], runs(install, "heartbeat")[-1]) == ("running", before), "the metadata was not locked"


@pytest.mark.parametrize("command", [("tick",), ("runmodule", "orders", "--quiet")], ids=" ".join)
def test_a_run_whose_end_cannot_be_written_has_published_and_is_told_later(
    install: Install, generator: Generator, command: tuple[str, ...], tmp_path: Path
) -> None:
    with locker(install, LOCK) as process:
        ran(install, process, tmp_path / "points")
        assert evidence(stored(generator.bench)) == evidence(generator.expected())
        assert len(list((install.data_dir / "spool").glob("*.json"))) == 1
    done = install.manage(*command)
    assert done.code == 0, done.err
    status, inserted, warnings, is_published = runs(install, "status, inserted, warnings, published_at IS NOT NULL")[1]
    assert (status, inserted, is_published) == ("success", 30, 1)
    # all rows of a batch have one mark, which is said of every such run
    assert ["30 rows share the highest w." in warning for warning in json.loads(warnings)] == [True]
    assert not list((install.data_dir / "spool").iterdir())
    log = (install.data_dir / "logs" / "runs" / "2.log").read_text()
    assert "the metadata could not be written: " in log
    assert "for the next tick" in log
    generator.move_on()
    assert install.manage("runmodule", "orders", "--quiet").code == 0
    assert evidence(stored(generator.bench)) == evidence(generator.expected())
    assert set(runs(install)) == {"success"}


def test_without_the_lock_there_is_no_proof(install: Install, tmp_path: Path) -> None:
    with (
        locker(install, NOTHING) as process,
        pytest.raises(AssertionError, match="the metadata was not locked"),
    ):
        ran(install, process, tmp_path / "points")
    assert runs(install) == ["success"] * 2
