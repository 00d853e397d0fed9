"""Whoever started a run is killed while it goes, at whatever step it is: the run does not notice."""

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
from tests.benches.bench import Bench
from tests.faults.changing_source import QUERY, Generator, evidence, stored
from tests.faults.killed_runs import faults
from tests.processes.commands import ROOT, alive, wait_until

pytestmark = [pytest.mark.matrix, pytest.mark.django_db(transaction=True)]

# what the web and the tick do
_LAUNCHES = """
import time, django
django.setup()
from modules.models import Module
from runs.lifecycle.claim import Request
from runs.lifecycle.launch import launch
launch(Module.objects.get(name="orders"), Request(trigger="api"))
time.sleep(600)
"""
_COMMAND = f"{shlex.quote(sys.executable)} manage.py runmodule orders --quiet & wait"
PARENTS = {"launcher": [sys.executable, "-c", _LAUNCHES], "shell": ["sh", "-c", _COMMAND]}


@pytest.fixture
def generator(pg_bench: Bench, save_module: Callable[..., Module], save_connection: Any) -> Generator:
    """An upsert with key_sync, published once, with changes that are not."""
    found = Generator(pg_bench, Strategy.UPSERT, Random(8), key_sync=True)
    found.begin(60)
    pg_bench.run(found.plan())
    found.move_on()
    source = save_connection(pg_bench.source)
    fields = {"merge_strategy": "upsert", "merge_key": "k", "watermark_column": "w", "key_sync": True}
    save_module("orders", QUERY, source=source, dest_table="sync.t", **fields)
    return found


def kill(parent: subprocess.Popen[bytes], *, seconds: float = 60) -> None:
    """Kill it, and prove that this is what ended it."""
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
def test_a_run_goes_on_when_its_parent_is_killed(generator: Generator, parent: str, point: str, tmp_path: Path) -> None:
    log = tmp_path / "points"
    process = subprocess.Popen(
        PARENTS[parent],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "pipekit_site.settings", **faults(f"{point}=stop", log)},
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
    assert evidence(stored(generator.bench)) == evidence(generator.expected())
    wait_until(lambda: not alive(run.pid))


def test_a_parent_that_is_not_killed_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as spared:
        spared.setattr(subprocess.Popen, "kill", lambda process: None)
        living, ending = subprocess.Popen(["sleep", "60"]), subprocess.Popen(["true"])
        with pytest.raises(subprocess.TimeoutExpired):
            kill(living, seconds=0.5)
        with pytest.raises(AssertionError):
            kill(ending)
    kill(living)
