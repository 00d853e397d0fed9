"""The process that started a run is killed at various steps of the run: the run continues and succeeds."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from modules.models import Module
from runs.engine.plan import Strategy
from runs.models import Run
from tests.faults.changing_source import QUERY, Generator, digest, stored_rows
from tests.faults.killed_runs import fault_environment
from tests.harness.bench import Bench
from tests.processes.commands import ROOT, alive, wait_until

pytestmark = [pytest.mark.matrix, pytest.mark.django_db(transaction=True)]

# launches a run as the web server and the tick do
_LAUNCH = """
import time, django
django.setup()
from modules.models import Module
from runs.lifecycle.insert import RunRequest
from runs.lifecycle.launch import launch_run
launch_run(Module.objects.get(name="orders"), RunRequest(trigger="api"))
time.sleep(600)
"""
_COMMAND = f"{shlex.quote(sys.executable)} manage.py runmodule orders --quiet & wait"
PARENTS = {"launcher": [sys.executable, "-c", _LAUNCH], "shell": ["sh", "-c", _COMMAND]}


@pytest.fixture
def generator(pg_bench: Bench, save_module: Callable[..., Module], save_connection: Any) -> Generator:
    """The source of an upsert with key_sync that has run once; it has changed since."""
    generator = Generator(pg_bench, Strategy.UPSERT, Random(8), key_sync=True)
    generator.create_table(60)
    pg_bench.run(generator.plan())
    generator.change_rows()
    source = save_connection(pg_bench.source)
    fields = {"merge_strategy": "upsert", "merge_key": "k", "watermark_column": "w", "key_sync": True}
    save_module("orders", QUERY, source=source, dest_table="sync.t", **fields)
    return generator


def kill(parent: subprocess.Popen[bytes], *, seconds: float = 60) -> None:
    """Kill the process, and check that the signal ended it."""
    parent.kill()
    assert parent.wait(timeout=seconds) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("parent", "point"),
    [
        ("launcher", "stage.claimed"),
        ("launcher", "publish.before_commit"),
        ("launcher", "reconcile.before_commit"),
        ("shell", "publish.before_commit"),
    ],
)
def test_a_run_continues_when_its_parent_is_killed(
    generator: Generator, parent: str, point: str, tmp_path: Path
) -> None:
    log = tmp_path / "points"
    faults = fault_environment(f"{point}=stop", log)
    process = subprocess.Popen(
        PARENTS[parent],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "pipekit_site.settings", **faults},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: log.exists() and f"{point} stop" in log.read_text())
    finally:
        kill(process)
    run = Run.objects.get()
    assert (run.status, alive(run.pid)) == ("running", True)
    os.kill(run.pid or 0, signal.SIGCONT)
    wait_until(lambda: Run.objects.get().is_final)
    run.refresh_from_db()
    assert (run.status, run.inserted, run.updated, run.deleted) == ("success", 10, 20, 5), run.error
    assert digest(stored_rows(generator.bench)) == digest(generator.expected())
    wait_until(lambda: not alive(run.pid))


def test_the_check_of_a_kill_fails_if_the_process_survives_or_exits(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(subprocess.Popen, "kill", lambda process: None)
        surviving, exiting = subprocess.Popen(["sleep", "60"]), subprocess.Popen(["true"])
        with pytest.raises(subprocess.TimeoutExpired):
            kill(surviving, seconds=0.5)
        with pytest.raises(AssertionError):
            kill(exiting)
    kill(surviving)
