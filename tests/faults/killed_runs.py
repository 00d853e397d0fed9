"""Runs that are to die at a point, in processes of their own; what they logged and how they ended is the proof."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from runs.engine.plan import Plan
from tests.benches.bench import Bench
from tests.faults.changing_source import committed, processes_of
from tests.processes.commands import stopped, wait_until

_DRIVER = """
import pickle, sys
from runs.engine import sync
for event in sync.run(pickle.load(sys.stdin.buffer)):
    pass
"""
# what the destination says is committed once a run has come to a point
_COMMITTED = {"publish": "publish.after_commit", "key_sync": "reconcile.after_commit"}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: the points it came to, in order, and whether the last one killed it."""

    points: list[str]
    killed: bool

    def proves(self, bench: Bench, run: str) -> set[str]:
        """Return what the commit record says, having checked that it says what the points say."""
        found = committed(bench, run)
        assert found == {kind for kind, point in _COMMITTED.items() if point in self.points}, self.points
        return found


def faults(fault: str, log: Path) -> dict[str, str]:
    return {"PIPEKIT_FAULTS": fault, "PIPEKIT_FAULT_LOG": str(log)}


def ended(code: int, log: Path) -> Ended:
    """Read how a process ended; a fault that fired was the last thing it did, and a SIGKILL."""
    lines = [line.split() for line in log.read_text().splitlines()]
    fired = [number for number, (_, action) in enumerate(lines, start=1) if action != "-"]
    points = [name for name, _ in lines]
    if not fired:
        assert code == 0, f"it failed by itself after {points}"
        return Ended(points, killed=False)
    assert fired == [len(lines)], f"it went on after the fault: {lines}"
    assert code == -signal.SIGKILL, f"it was not killed but ended with {code}"
    return Ended(points, killed=True)


def carried_out(plan: Plan, fault: str, log: Path) -> Ended:
    """Run the plan in a process of its own with that fault."""
    environment = {**os.environ, **faults(fault, log)}
    argv = [sys.executable, "-c", _DRIVER]
    done = subprocess.run(argv, input=pickle.dumps(plan), env=environment, check=False)
    return ended(done.returncode, log)


def stands_at(point: str, process: subprocess.Popen[str], log: Path) -> None:
    """Wait until the process stands still at the point, as its fault says, and as the system says of it."""
    wait_until(lambda: log.exists() and f"{point} stop" in log.read_text())
    wait_until(lambda: stopped(process.pid))


def leaves_nothing(bench: Bench, log: Path) -> bool:
    """Whether, within 15 seconds, nothing of a dead run is left: no process, no lock at the destination."""
    try:
        wait_until(lambda: not list(processes_of(log)) and not locks(bench), seconds=15)
    except AssertionError:
        return False
    return True


def locks(bench: Bench) -> int:
    """How many locks on tables or names other sessions hold at the destination."""
    return int(
        bench.rows(
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.datname = current_database()"
            " AND l.pid <> pg_backend_pid() AND a.backend_type = 'client backend'"
            " AND l.locktype IN ('relation', 'advisory', 'tuple', 'transactionid')"
        )[0][0]
    )
