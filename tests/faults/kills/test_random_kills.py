"""Two hundred SIGKILLs at random points in time of runs whose source changes: no row is lost, no row is doubled."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from runs.engine.plan import Plan, Strategy
from tests.faults.changing_source import Generator, count_differences, digest, processes_logging_to, stored_rows
from tests.faults.killed_runs import fault_environment
from tests.harness.bench import Bench
from tests.processes import warm
from tests.processes.commands import backends, wait_until

# the runs that are killed are processes of their own; the complete runs between them transfer rows in this process
pytestmark = pytest.mark.usefixtures("transfer_in_process")
ROWS, KILLS, PARTS = 2000, 50, 2
KILLS_PER_TEST = KILLS // PARTS
# some kills come after the end of their run; so many more than the wanted ones are attempted at most
MAX_ATTEMPTS_PER_KILL = 4
# how much later than the longest run known the kills may come, while they hit: the machine may have become slower
LATER = 1.1


@dataclass
class Tally:
    """Kills that were attempted, that hit a run, and that hit it after its commit; rows lost and doubled by them."""

    attempted: int = 0
    hit: int = 0
    published: int = 0
    lost: int = 0
    doubled: int = 0

    def __str__(self) -> str:
        return (
            f"random SIGKILLs: {self.hit} faults injected ({self.attempted} attempted, {self.published} after the "
            f"commit), {self.lost} rows lost, {self.doubled} rows doubled"
        )


@pytest.fixture(scope="module")
def total(request: pytest.FixtureRequest) -> Iterator[Tally]:
    tally = Tally()
    yield tally
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{tally}")


def start_run(plan: Plan, log: Path) -> subprocess.Popen[str]:
    """Start the run in a process of its own and return when it begins, so that no kill is spent on the imports.

    It and its jrunner log their fault points.
    """
    file = log.with_suffix(".plan")
    file.write_bytes(pickle.dumps(plan))
    process = warm.run_plan(file, env={**os.environ, **fault_environment("nowhere=none", log)})
    assert process.stdout and process.stdout.readline() == "begins\n"
    return process


def close(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdout, process.stderr):
        assert stream
        stream.close()


def measure(plan: Plan, log: Path) -> float:
    """Run the plan; return how many seconds it took."""
    process = start_run(plan, log)
    started = time.monotonic()
    assert process.wait(60) == 0
    close(process)
    return time.monotonic() - started


def run_and_kill(plan: Plan, log: Path, *, after: float) -> float | None:
    """Run the plan and kill it this many seconds after its begin; return how long it took if it had ended before."""
    process = start_run(plan, log)
    started = time.monotonic()
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
    process.wait(60)
    seconds = time.monotonic() - started
    close(process)
    assert process.returncode in (0, -signal.SIGKILL)
    return None if process.returncode == -signal.SIGKILL else seconds


def wait_until_cleaned_up(bench: Bench, log: Path) -> None:
    """Wait until no process and no session of the run is left."""
    wait_until(lambda: not list(processes_logging_to(log)))
    wait_until(lambda: not backends(bench.source.url) and not backends(bench.destination.url))


def sweep(generator: Generator, log: Path, *, kills: int, delay: float = 0.0) -> Tally:
    """Kill runs at random times, all ``delay`` seconds later, each followed by a complete one; return the tally.

    The times are drawn from the duration of a run, which follows the machine's speed: what ended before its kill
    says how long a run takes now, and each kill that hits lets the next come a little later.
    """
    bench, tally = generator.bench, Tally()
    seconds = min(measure(generator.plan(run=uuid4().hex), log) for _ in range(2))
    while tally.hit < kills and tally.attempted < kills * MAX_ATTEMPTS_PER_KILL:
        before = digest(generator.expected())
        generator.change_rows()
        expected = generator.expected()
        tally.attempted += 1
        ended = run_and_kill(generator.plan(run=uuid4().hex), log, after=delay + generator.random.uniform(0, seconds))
        hit = ended is None
        seconds = seconds * LATER if ended is None else ended
        tally.hit += hit
        after = digest(stored_rows(bench))
        assert after in (before, digest(expected))
        tally.published += hit and after != before
        bench.run(generator.plan())
        lost, doubled = count_differences(expected, stored_rows(bench))
        tally.lost, tally.doubled = tally.lost + lost, tally.doubled + doubled
        assert digest(stored_rows(bench)) == digest(expected)
        wait_until_cleaned_up(bench, log)
    return tally


def check_hits(tally: Tally, kills: int) -> None:
    assert tally.hit >= kills, "too few of the kills hit a run"


@pytest.mark.matrix
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("strategy", list(Strategy))
def test_runs_killed_at_random_while_the_source_changes_neither_lose_nor_duplicate_rows(
    pg_bench: Bench, strategy: Strategy, part: int, tmp_path: Path, total: Tally
) -> None:
    generator = Generator(pg_bench, strategy, Random(f"{strategy}-{part}"))
    generator.create_table(ROWS)
    pg_bench.run(generator.plan())
    tally = sweep(generator, tmp_path / "points", kills=KILLS_PER_TEST)
    for name in vars(total):
        setattr(total, name, getattr(total, name) + getattr(tally, name))
    check_hits(tally, KILLS_PER_TEST)
    assert (tally.lost, tally.doubled) == (0, 0)


@pytest.mark.matrix
@pytest.mark.parametrize("strategy", [Strategy.APPEND, Strategy.FULL])
def test_the_check_of_the_hits_fails_if_the_kills_come_too_late(
    pg_bench: Bench, strategy: Strategy, tmp_path: Path
) -> None:
    generator = Generator(pg_bench, strategy, Random(1))
    generator.create_table(50)
    pg_bench.run(generator.plan())
    tally = sweep(generator, tmp_path / "points", kills=1, delay=60)
    assert (tally.attempted, tally.hit) == (MAX_ATTEMPTS_PER_KILL, 0)
    with pytest.raises(AssertionError, match="too few"):
        check_hits(tally, 1)


def test_the_comparison_detects_a_lost_row_a_doubled_row_and_a_changed_value() -> None:
    rows = [(1, "a", 0), (2, "b", 0)]
    for wrong, difference in ((rows[:1], (1, 0)), ([*rows, rows[0]], (0, 1)), ([rows[0], (2, "x", 0)], (1, 1))):
        assert digest(wrong) != digest(rows)
        assert count_differences(rows, wrong) == difference
