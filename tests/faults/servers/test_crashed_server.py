"""The destination's server crashes while rows are staged: staging, which it does not log, comes back empty.

The count sees it, nothing is published, and another attempt stages anew.
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
from runs.engine.plan import Plan, Strategy
from tests.benches.bench import Bench
from tests.faults.changing_source import Generator, bytes_of, committed, evidence, stored
from tests.faults.killed_runs import faults, stands_at
from tests.processes.commands import alive, wait_until

pytestmark = pytest.mark.matrix

# tells what it hears of, and how it ends
_DRIVER = """
import pickle, sys
from base64 import b64decode
from connections.sdk.errors import PipekitError
from runs.engine import events, retry
plan, retries = pickle.loads(b64decode(sys.stdin.read()))
policy = retry.Policy(max_retries=retries, delay=0.1)
try:
    for event in retry.run(plan, policy, still_ours=lambda: True):
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
    """A server of this test's own."""

    directory: Path

    @property
    def url(self) -> str:
        return embedded_postgresql.ensure_running(self.directory)

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def crash(self) -> None:
        """End it at once, without a checkpoint: what `pg_ctl stop -m immediate` does."""
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
            # it gives a server only so many seconds to recover
            return False


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    # a short path: socket paths end at 107 bytes
    directory = Path(tempfile.mkdtemp(prefix="pk-"))
    directory.chmod(0o755)
    found = Server(directory / "pg")
    try:
        embedded_postgresql.ensure_running(found.directory)
        yield found
    finally:
        embedded_postgresql.stop(found.directory)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(params=list(Strategy))
def generator(server: Server, shop: ConnectionParameters, request: pytest.FixtureRequest) -> Generator:
    """A table on that server that is published already, with changes that are not."""
    bench = Bench(shop, ConnectionParameters(kind="postgresql", url=server.url, name="warehouse"))
    bench.at_destination(*(f"DROP SCHEMA IF EXISTS {name} CASCADE" for name in ("sync", "pipekit_staging")))
    found = Generator(bench, request.param, Random(3))
    found.begin(60)
    bench.run(found.plan())
    found.move_on()
    # an interval that a crash must be made to bridge
    bench.at_destination("CHECKPOINT")
    return found


@contextmanager
def standing(plan: Plan, point: str, log: Path, *, retries: int) -> Iterator[subprocess.Popen[str]]:
    """A process that carries the plan out and stands still at the point; it goes on after the block."""
    argv, environment = [sys.executable, "-u", "-c", _DRIVER], {**os.environ, **faults(f"{point}#1=stop", log)}
    process = subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(b64encode(pickle.dumps((plan, retries))).decode())
    process.stdin.close()
    process.stdin = None
    try:
        stands_at(point, process, log)
        yield process
    finally:
        process.send_signal(signal.SIGCONT)


def said(process: subprocess.Popen[str]) -> list[str]:
    """What the process told, once it has ended, each line up to where the message begins to differ."""
    return [
        line.partition(" Staging of m holds 0 rows,")[0] for line in process.communicate(timeout=90)[0].splitlines()
    ]


def crash_empties_staging(generator: Generator, server: Server) -> None:
    """Crash the server, start it again, and prove that what was staged is gone."""
    assert generator.bench.rows(STAGED) != [(0,)]
    server.crash()
    server.restart()
    assert generator.bench.rows(STAGED) == [(0,)], "staging outlived it"


def test_staging_emptied_by_a_crash_is_not_published_and_the_next_run_is_right(
    generator: Generator, server: Server, tmp_path: Path
) -> None:
    bench, plan = generator.bench, generator.plan(run=uuid4().hex)
    before = bytes_of(bench)
    with standing(plan, "transfer.finished", tmp_path / "points", retries=0) as process:
        crash_empties_staging(generator, server)
    assert said(process) == ["failed: count_mismatch"]
    assert bytes_of(bench) == before
    assert committed(bench, plan.run) == set()
    bench.run(generator.plan())
    assert evidence(stored(bench)) == evidence(generator.expected())


@pytest.mark.parametrize("generator", [Strategy.FULL, Strategy.APPEND], indirect=True)
def test_another_attempt_stages_anew(generator: Generator, server: Server, tmp_path: Path) -> None:
    bench, plan = generator.bench, generator.plan(run=uuid4().hex)
    with standing(plan, "transfer.finished", tmp_path / "points", retries=1) as process:
        crash_empties_staging(generator, server)
    assert said(process) == ["attempt failed: count_mismatch", "done"]
    assert evidence(stored(bench)) == evidence(generator.expected())
    assert committed(bench, plan.run) == {"publish"}


@pytest.mark.parametrize("generator", [Strategy.APPEND], indirect=True)
def test_a_server_that_is_gone_before_the_commit_is_waited_for(
    generator: Generator, server: Server, tmp_path: Path
) -> None:
    bench, plan = generator.bench, generator.plan(run=uuid4().hex)
    with standing(plan, "publish.before_commit", tmp_path / "points", retries=3) as process:
        server.crash()
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith("attempt failed: connection_lost"), first
    assert "Whether it was committed is not known: the destination cannot be reached." in first
    server.restart()
    assert said(process)[-1] == "done"
    assert evidence(stored(bench)) == evidence(generator.expected())


@pytest.mark.parametrize("generator", [Strategy.FULL], indirect=True)
def test_without_a_crash_there_is_no_proof(
    generator: Generator, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is stopped in order keeps what is staged."""
    monkeypatch.setattr(Server, "crash", lambda server: embedded_postgresql.stop(server.directory))
    monkeypatch.setattr(Server, "restart", lambda server: server.url)
    with (
        standing(generator.plan(), "transfer.finished", tmp_path / "points", retries=0) as process,
        pytest.raises(AssertionError, match="outlived"),
    ):
        crash_empties_staging(generator, server)
    assert said(process) == ["done"]
    assert evidence(stored(generator.bench)) == evidence(generator.expected())
