"""The destination's server crashes while rows are staged: the staging table, which is unlogged, is empty afterwards.

The row count does not match, nothing is published, and the next attempt stages the rows again.
"""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from connections import embedded_postgresql
from connections.sdk.errors import ConnectionFailed
from connections.sdk.parameters import ConnectionParameters
from runs.engine.plan import FullPublish, Plan, Strategy
from tests.faults.changing_source import Generator, committed_kinds, digest, stored_rows, table_bytes
from tests.faults.killed_runs import fault_environment, wait_until_stopped_at
from tests.harness.bench import Bench
from tests.processes.commands import alive, wait_until

pytestmark = pytest.mark.matrix

# prints failed attempts and how the run ends
_PROGRAM = """
import pickle, sys
from base64 import b64decode
from connections.sdk.errors import PipekitError
from runs.engine import events
from runs.engine.retry import run_with_retries
from tests.harness.bench import retry_policy
plan, retries = pickle.loads(b64decode(sys.stdin.read()))
policy = retry_policy(max_retries=retries, delay=0.1)
try:
    for event in run_with_retries(plan, policy, must_stop=lambda: False):
        if isinstance(event, events.AttemptFailed):
            print("attempt failed:", event.code, event.message.replace("\\n", " "))
except PipekitError as error:
    print("failed:", error.code, error.message)
else:
    print("done")
"""
STAGED = "SELECT count(*) FROM pipekit_staging.m"


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL server of these tests only, in a directory."""

    directory: Path

    @property
    def url(self) -> str:
        return embedded_postgresql.ensure_running(self.directory)

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def crash(self) -> None:
        """Terminate the server without a checkpoint, as `pg_ctl stop -m immediate` does."""
        pid = int((self.directory / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGQUIT)
        wait_until(lambda: not alive(pid))

    def restart(self) -> None:
        wait_until(self._is_up)
        assert "automatic recovery in progress" in self.log

    def _is_up(self) -> bool:
        try:
            return bool(self.url)
        except ConnectionFailed:
            # the server is still recovering
            return False


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    # a short path, because the path of a socket has at most 107 bytes
    directory = Path(tempfile.mkdtemp(prefix="pk-"))
    directory.chmod(0o755)
    server = Server(directory / "pg")
    try:
        embedded_postgresql.ensure_running(server.directory)
        yield server
    finally:
        embedded_postgresql.stop(server.directory)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(params=list(Strategy))
def generator(server: Server, shop: ConnectionParameters, request: pytest.FixtureRequest) -> Generator:
    """A source that has been published to the server and has changed since."""
    bench = Bench(shop, ConnectionParameters(kind="postgresql", url=server.url, name="warehouse"))
    bench.at_destination(*(f"DROP SCHEMA IF EXISTS {name} CASCADE" for name in ("sync", "pipekit_staging")))
    generator = Generator(bench, request.param, Random(3))
    generator.create_table(60)
    bench.run(generator.plan())
    generator.change_rows()
    # the server recovers from this checkpoint
    bench.at_destination("CHECKPOINT")
    return generator


@contextmanager
def stopped_run(plan: Plan, point: str, log: Path, *, retries: int) -> Iterator[subprocess.Popen[str]]:
    """Start a process that executes the plan and stops itself at the point; resume it at the end of the block."""
    argv = [sys.executable, "-u", "-c", _PROGRAM]
    environment = {**os.environ, **fault_environment(f"{point}#1=stop", log)}
    process = subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(b64encode(pickle.dumps((plan, retries))).decode())
    process.stdin.close()
    process.stdin = None
    try:
        wait_until_stopped_at(point, process, log)
        yield process
    finally:
        process.send_signal(signal.SIGCONT)


def read_output(process: subprocess.Popen[str]) -> list[str]:
    """Wait for the process to end; return the lines it printed, without the details of a count mismatch."""
    return [
        line.partition(" Staging of m holds 0 rows,")[0] for line in process.communicate(timeout=90)[0].splitlines()
    ]


def unlogged_plan(generator: Generator) -> Plan:
    """Return a plan whose staging table is unlogged: one that is to take the place of the table survives a crash."""
    return generator.plan(run=uuid4().hex, full_publish=FullPublish.TRUNCATE)


def empty_staging(generator: Generator, server: Server) -> None:
    """Crash the server, start it again, and check that the staged rows are lost."""
    assert generator.bench.rows(STAGED) != [(0,)]
    server.crash()
    server.restart()
    assert generator.bench.rows(STAGED) == [(0,)], "staging outlived it"


def test_staging_emptied_by_a_crash_is_not_published_and_the_next_run_publishes_everything(
    generator: Generator, server: Server, tmp_path: Path
) -> None:
    bench, plan = generator.bench, unlogged_plan(generator)
    before = table_bytes(bench)
    with stopped_run(plan, "transfer.finished", tmp_path / "points", retries=0) as process:
        empty_staging(generator, server)
    assert read_output(process) == ["failed: count_mismatch"]
    assert table_bytes(bench) == before
    assert committed_kinds(bench, plan.run) == set()
    bench.run(generator.plan())
    assert digest(stored_rows(bench)) == digest(generator.expected())


@pytest.mark.parametrize("generator", [Strategy.FULL, Strategy.APPEND], indirect=True)
def test_a_second_attempt_stages_the_rows_again(generator: Generator, server: Server, tmp_path: Path) -> None:
    bench, plan = generator.bench, unlogged_plan(generator)
    with stopped_run(plan, "transfer.finished", tmp_path / "points", retries=1) as process:
        empty_staging(generator, server)
    assert read_output(process) == ["attempt failed: count_mismatch", "done"]
    assert digest(stored_rows(bench)) == digest(generator.expected())
    assert committed_kinds(bench, plan.run) == {"publish"}


@pytest.mark.parametrize("generator", [Strategy.APPEND], indirect=True)
def test_a_run_whose_server_crashed_before_the_commit_is_retried_until_the_server_is_back(
    generator: Generator, server: Server, tmp_path: Path
) -> None:
    bench, plan = generator.bench, unlogged_plan(generator)
    with stopped_run(plan, "publish.before_commit", tmp_path / "points", retries=3) as process:
        server.crash()
    assert process.stdout is not None
    failure = process.stdout.readline()
    assert failure.startswith("attempt failed: connection_lost"), failure
    assert "Whether it was committed is not known: the destination cannot be reached." in failure
    server.restart()
    assert read_output(process)[-1] == "done"
    assert digest(stored_rows(bench)) == digest(generator.expected())


@pytest.mark.parametrize("generator", [Strategy.FULL], indirect=True)
def test_the_check_fails_if_the_server_does_not_crash(
    generator: Generator, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is shut down in order keeps the staged rows."""
    monkeypatch.setattr(Server, "crash", lambda server: embedded_postgresql.stop(server.directory))
    monkeypatch.setattr(Server, "restart", lambda server: server.url)
    with (
        stopped_run(unlogged_plan(generator), "transfer.finished", tmp_path / "points", retries=0) as process,
        pytest.raises(AssertionError, match="outlived"),
    ):
        empty_staging(generator, server)
    assert read_output(process) == ["done"]
    assert digest(stored_rows(generator.bench)) == digest(generator.expected())
