"""Runs in processes of their own that are killed at a fault point.

The log of the fault points and the exit code prove that the fault was injected.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from runs.engine.plan import Plan
from tests.faults.changing_source import committed_kinds, processes_logging_to
from tests.harness.bench import Bench
from tests.processes import warm
from tests.processes.commands import stopped, wait_until

# commit records that exist once a run has passed the point
_COMMIT_POINTS = {"publish": "publish.after_commit", "key_sync": "reconcile.after_commit"}


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended: the points that it reached, in order, and whether it was killed at the last one."""

    points: list[str]
    killed: bool

    def check_commits(self, bench: Bench, run: str) -> set[str]:
        """Check that the run's commit records agree with the points that it reached; return their kinds."""
        kinds = committed_kinds(bench, run)
        assert kinds == {kind for kind, point in _COMMIT_POINTS.items() if point in self.points}, self.points
        return kinds


def fault_environment(fault: str, log: Path) -> dict[str, str]:
    """Return the environment variables that inject the fault and log the fault points to the file."""
    return {"PIPEKIT_FAULTS": fault, "PIPEKIT_FAULT_LOG": str(log)}


def read_result(code: int, log: Path, err: str = "") -> RunResult:
    """Return the result of a process; if a fault was injected, check that SIGKILL then ended the process."""
    lines = [line.split() for line in log.read_text().splitlines()]
    injected = [number for number, (_, action) in enumerate(lines, start=1) if action != "-"]
    points = [name for name, _ in lines]
    if not injected:
        assert code == 0, f"it failed by itself after {points}: {err}"
        return RunResult(points, killed=False)
    assert injected == [len(lines)], f"it went on after the fault: {lines}"
    assert code == -signal.SIGKILL, f"it was not killed but ended with {code}"
    return RunResult(points, killed=True)


def run_with_fault(plan: Plan, fault: str, log: Path) -> RunResult:
    """Run the plan in a process of its own with the fault."""
    file = log.with_suffix(".plan")
    file.write_bytes(pickle.dumps(plan))
    process = warm.run_plan(file, env={**os.environ, **fault_environment(fault, log)})
    _, err = process.communicate()
    return read_result(process.returncode, log, err)


def wait_until_stopped_at(point: str, process: subprocess.Popen[str], log: Path) -> None:
    """Wait until the process has stopped itself at the point, by its log and by its state in the system."""

    def is_logged() -> bool:
        assert process.poll() is None, f"the process has ended before it came to {point}"
        return log.exists() and f"{point} stop" in log.read_text()

    wait_until(is_logged)
    wait_until(lambda: stopped(process.pid))


def is_cleaned_up(bench: Bench, log: Path) -> bool:
    """Return whether, within 15 seconds, a killed run has left no process and no lock at the destination."""
    try:
        wait_until(lambda: not list(processes_logging_to(log)) and not count_locks(bench), seconds=15)
    except AssertionError:
        return False
    return True


def count_locks(bench: Bench) -> int:
    """Return the number of locks on tables, rows, transactions and names that other sessions hold."""
    return int(
        bench.rows(
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.datname = current_database()"
            " AND l.pid <> pg_backend_pid() AND a.backend_type = 'client backend'"
            " AND l.locktype IN ('relation', 'advisory', 'tuple', 'transactionid')"
        )[0][0]
    )
