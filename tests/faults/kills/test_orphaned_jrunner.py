"""A run dies while its jrunner is still starting: jrunner writes nothing into the staging table of the next run."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from runs.engine.plan import Strategy
from tests.benches.bench import Bench
from tests.faults.changing_source import Generator, processes_of
from tests.processes.commands import wait_until

# dies when jrunner has its job and is only Python starting
_DRIVER = """
import os, pickle, signal, sys
from runs.engine import sync, transfer as transferring
send_job, command = transferring._send_job, transferring.command

def die(child, work):
    send_job(child, work)
    os.kill(os.getpid(), signal.SIGKILL)

def untold():
    argv, environment = command()
    del environment["JRUNNER_PARENT"]
    return argv, environment

transferring._send_job = die
if sys.argv[1] == "untold":
    transferring.command = untold
for event in sync.run(pickle.load(sys.stdin.buffer)):
    pass
"""


@pytest.mark.parametrize(("word", "staged"), [("told", 0), ("untold", 50)])
def test_a_jrunner_that_is_told_who_started_it_does_not_outlive_it(
    pg_bench: Bench, tmp_path: Path, word: str, staged: int
) -> None:
    """Untold, it would take whoever adopted it for its parent, and write: which proves that the fault fires."""
    generator, log = Generator(pg_bench, Strategy.FULL, Random(3)), tmp_path / "points"
    generator.begin(50)
    environment = {**os.environ, "PIPEKIT_FAULTS": "nowhere=none", "PIPEKIT_FAULT_LOG": str(log)}
    argv = [sys.executable, "-c", _DRIVER, word]
    done = subprocess.run(argv, input=pickle.dumps(generator.plan()), env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    wait_until(lambda: not list(processes_of(log)))
    assert pg_bench.rows("SELECT count(*) FROM pipekit_staging.m") == [(staged,)]
