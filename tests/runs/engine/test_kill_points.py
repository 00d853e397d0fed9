"""A run killed at any point has published wholly or not at all, and the next run is right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runs.engine.plan import Strategy
from tests.runs.engine.bench import Bench, Rows

_DRIVER = """
import pickle, sys
from runs.engine import sync
for event in sync.run(pickle.load(sys.stdin.buffer)):
    pass
"""
QUERY = "SELECT k, v FROM s"


@pytest.fixture
def numbers(pg_bench: Bench) -> Bench:
    pg_bench.at_source(
        "CREATE TABLE s (k int PRIMARY KEY, v text)", "INSERT INTO s SELECT n, 'old' FROM generate_series(1, 50) n"
    )
    return pg_bench


def killed_at(bench: Bench, plan: object, number: int, log: Path) -> tuple[int, bool]:
    """Run the plan in a process of its own with a kill at its n-th point; return its exit code and whether it fired."""
    import pickle

    environment = {**os.environ, "PIPEKIT_FAULTS": f"#{number}=kill9", "PIPEKIT_FAULT_LOG": str(log)}
    done = subprocess.run([sys.executable, "-c", _DRIVER], input=pickle.dumps(plan), env=environment, check=False)
    return done.returncode, log.exists() and "kill9" in log.read_text()


@pytest.mark.matrix
@pytest.mark.parametrize("strategy", list(Strategy))
def test_killed_at_every_point_in_turn(numbers: Bench, strategy: Strategy, tmp_path: Path) -> None:
    key = ("k",) if strategy in (Strategy.INCREMENTAL, Strategy.UPSERT) else ()
    watermark = "k" if strategy is Strategy.APPEND else ""
    numbers.run(numbers.plan(QUERY))
    numbers.at_source("INSERT INTO s SELECT n, 'new' FROM generate_series(51, 60) n")
    expected: Rows = numbers.rows("SELECT n, CASE WHEN n > 50 THEN 'new' ELSE 'old' END FROM generate_series(1, 60) n")
    before = numbers.rows()
    fired = 0
    for number in range(1, 200):
        plan = numbers.plan(QUERY, strategy=strategy, merge_key=key, watermark=watermark, run=f"{strategy}-{number}")
        code, hit = killed_at(numbers, plan, number, tmp_path / f"{number}.log")
        assert numbers.rows() in (before, expected)
        if not hit:
            assert code == 0
            break
        assert code == -signal.SIGKILL
        fired += 1
        numbers.run(numbers.plan(QUERY, strategy=strategy, merge_key=key, watermark=watermark))
        assert numbers.rows() == expected
        numbers.at_destination("DELETE FROM sync.t WHERE k > 50")
    assert fired >= 12


@pytest.mark.parametrize("point", ["transfer.started", "publish.before_commit", "publish.after_commit"])
def test_killed_around_the_commit(numbers: Bench, point: str, tmp_path: Path) -> None:
    import pickle

    numbers.run(numbers.plan(QUERY))
    before = numbers.rows()
    numbers.at_source("UPDATE s SET v = 'new'")
    log = tmp_path / "faults.log"
    environment = {**os.environ, "PIPEKIT_FAULTS": f"{point}=kill9", "PIPEKIT_FAULT_LOG": str(log)}
    plan = numbers.plan(QUERY)
    done = subprocess.run([sys.executable, "-c", _DRIVER], input=pickle.dumps(plan), env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert f"{point} kill9" in log.read_text()
    published = point == "publish.after_commit"
    assert (numbers.rows() != before) is published
    numbers.run(numbers.plan(QUERY))
    assert numbers.rows("SELECT DISTINCT v FROM sync.t") == [("new",)]
