"""Two hundred SIGKILLs at random moments of a run whose source changes: nothing lost, nothing doubled."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from runs.engine.plan import Plan, Strategy
from tests.benches.bench import Bench
from tests.faults.changing_source import Generator, compared, evidence, processes_of, stored
from tests.processes.commands import backends, wait_until

# says when it begins, so that no moment is spent on a kill of what is only Python starting
_DRIVER = """
import pickle, sys
from runs.engine import sync
plan = pickle.load(sys.stdin.buffer)
print("begins", flush=True)
for event in sync.run(plan):
    pass
"""
# what is killed is a process of its own; only the whole runs around it move their rows in this one
pytestmark = pytest.mark.usefixtures("transfer_in_process")
ROWS, KILLS, PARTS = 2000, 50, 2
EACH = KILLS // PARTS
# some kills come when the run is over already, more of them where the machine gets quicker meanwhile: so many must hit
SHARE, SHARE_OF_ALL = 0.25, 0.5


@dataclass
class Tally:
    aimed: int = 0
    hit: int = 0
    published: int = 0
    lost: int = 0
    doubled: int = 0

    def __str__(self) -> str:
        return (
            f"random SIGKILLs: {self.hit} faults injected ({self.aimed} aimed, {self.published} after the commit), "
            f"{self.lost} rows lost, {self.doubled} rows doubled"
        )


@pytest.fixture(scope="module")
def total(request: pytest.FixtureRequest) -> Iterator[Tally]:
    found = Tally()
    yield found
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{found}")
    assert found.hit >= SHARE_OF_ALL * found.aimed


def begun(plan: Plan, log: Path) -> subprocess.Popen[bytes]:
    """Start the run in a process of its own and return when it begins; it and its jrunner log their points."""
    environment = {**os.environ, "PIPEKIT_FAULTS": "nowhere=none", "PIPEKIT_FAULT_LOG": str(log)}
    argv = [sys.executable, "-c", _DRIVER]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert process.stdin and process.stdout
    pickle.dump(plan, process.stdin)
    process.stdin.close()
    assert process.stdout.readline() == b"begins\n"
    return process


def length(plan: Plan, log: Path) -> float:
    """Return how many seconds the run takes when nothing happens to it."""
    process = begun(plan, log)
    began = time.monotonic()
    assert process.wait(60) == 0
    process.stdout.close()  # type: ignore[union-attr]
    return time.monotonic() - began


def killed(plan: Plan, log: Path, *, after: float) -> bool:
    """Run the plan and kill it so many seconds after it began; return whether the kill is what ended it."""
    process = begun(plan, log)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
    process.wait(60)
    process.stdout.close()  # type: ignore[union-attr]
    assert process.returncode in (0, -signal.SIGKILL)
    return process.returncode == -signal.SIGKILL


def nothing_left(bench: Bench, log: Path) -> None:
    wait_until(lambda: not list(processes_of(log)))
    wait_until(lambda: not backends(bench.source.url) and not backends(bench.destination.url))


def sweep(generator: Generator, log: Path, *, kills: int, late: float = 0.0) -> Tally:
    """Kill runs at random moments (all ``late`` seconds later), each followed by a whole one; return what was seen."""
    bench, found = generator.bench, Tally()
    seconds = min(length(generator.plan(run=uuid4().hex), log) for _ in range(2))
    for _ in range(kills):
        before = evidence(generator.expected())
        generator.move_on()
        wanted = generator.expected()
        found.aimed += 1
        hit = killed(generator.plan(run=uuid4().hex), log, after=late + generator.random.uniform(0, seconds))
        found.hit += hit
        seen = evidence(stored(bench))
        assert seen in (before, evidence(wanted))
        found.published += hit and seen != before
        bench.run(generator.plan())
        lost, doubled = compared(wanted, stored(bench))
        found.lost, found.doubled = found.lost + lost, found.doubled + doubled
        assert evidence(stored(bench)) == evidence(wanted)
        nothing_left(bench, log)
    return found


def prove(found: Tally) -> None:
    assert found.hit >= SHARE * found.aimed, "too few of the kills hit a run"


@pytest.mark.matrix
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("strategy", list(Strategy))
def test_killed_at_random_moments_while_the_source_changes(
    pg_bench: Bench, strategy: Strategy, part: int, tmp_path: Path, total: Tally
) -> None:
    generator = Generator(pg_bench, strategy, Random(f"{strategy}-{part}"))
    generator.begin(ROWS)
    pg_bench.run(generator.plan())
    found = sweep(generator, tmp_path / "points", kills=EACH)
    for name in vars(total):
        setattr(total, name, getattr(total, name) + getattr(found, name))
    prove(found)
    assert (found.lost, found.doubled) == (0, 0)


@pytest.mark.matrix
@pytest.mark.parametrize("strategy", [Strategy.APPEND, Strategy.FULL])
def test_kills_that_come_too_late_are_no_proof(pg_bench: Bench, strategy: Strategy, tmp_path: Path) -> None:
    generator = Generator(pg_bench, strategy, Random(1))
    generator.begin(50)
    pg_bench.run(generator.plan())
    found = sweep(generator, tmp_path / "points", kills=1, late=60)
    assert (found.aimed, found.hit) == (1, 0)
    with pytest.raises(AssertionError, match="too few"):
        prove(found)


def test_the_oracle_sees_a_row_lost_a_row_doubled_and_a_value_changed() -> None:
    rows = [(1, "a", 0), (2, "b", 0)]
    for wrong, difference in ((rows[:1], (1, 0)), ([*rows, rows[0]], (0, 1)), ([rows[0], (2, "x", 0)], (1, 1))):
        assert evidence(wrong) != evidence(rows)
        assert compared(rows, wrong) == difference
