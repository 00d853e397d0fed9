"""A run is killed while its jrunner is still starting: jrunner writes nothing into the staging table."""

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
from tests.faults.changing_source import Generator, processes_logging_to
from tests.harness.bench import Bench
from tests.processes.commands import wait_until

# kills itself when jrunner has its job but is still importing, because it was not started before
_PROGRAM = """
import contextlib, os, pickle, signal, sys
from runs.engine import jrunner_process, sync
send, command = jrunner_process.JrunnerProcess.send, jrunner_process.command

def send_and_die(process, job):
    send(process, job)
    os.kill(os.getpid(), signal.SIGKILL)

def command_without_parent(*kinds):
    argv, environment = command(*kinds)
    del environment["JRUNNER_PARENT"]
    return argv, environment

jrunner_process.started = lambda plan: contextlib.nullcontext()
jrunner_process.JrunnerProcess.send = send_and_die
if sys.argv[1] == "without":
    jrunner_process.command = command_without_parent
for event in sync.execute_plan(pickle.load(sys.stdin.buffer)):
    pass
"""


@pytest.mark.matrix
@pytest.mark.default_cases(1)
@pytest.mark.parametrize(("parent_id", "staged"), [("with", 0), ("without", 50)])
def test_a_jrunner_that_knows_its_parent_writes_nothing_after_the_parent_died(
    pg_bench: Bench, tmp_path: Path, parent_id: str, staged: int
) -> None:
    """Without JRUNNER_PARENT it takes the process that adopted it for its parent, and writes."""
    generator, log = Generator(pg_bench, Strategy.FULL, Random(3)), tmp_path / "points"
    generator.create_table(50)
    environment = {**os.environ, "PIPEKIT_FAULTS": "nowhere=none", "PIPEKIT_FAULT_LOG": str(log)}
    argv = [sys.executable, "-c", _PROGRAM, parent_id]
    run = subprocess.run(argv, input=pickle.dumps(generator.plan()), env=environment, check=False)
    assert run.returncode == -signal.SIGKILL
    wait_until(lambda: not list(processes_logging_to(log)))
    assert pg_bench.rows("SELECT count(*) FROM pipekit_staging.m") == [(staged,)]
