"""Launched runs have a process of their own, which outlives the launcher."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from django.utils import timezone

from connections.sdk.errors import AlreadyRunning
from runs.lifecycle.insert import RunRequest
from runs.lifecycle.launch import launch_run
from runs.models import Run
from tests.harness.bench import Bench
from tests.integration.runs.orders import QUERY, Save, is_final
from tests.processes.commands import ROOT, resume_when_stopped, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def test_launching_returns_a_queued_run_which_its_own_process_executes(numbers: Bench, save_module: Save) -> None:
    module = save_module("orders", QUERY)
    numbers.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.orders (k integer, v text)")
    with psycopg.connect(numbers.destination.url) as holder:
        # the run cannot end while the table is locked
        holder.execute("LOCK TABLE sync.orders IN ACCESS EXCLUSIVE MODE")
        run = launch_run(module, RunRequest(trigger="api", actor="anna"))
        assert not Run.objects.get(pk=run.pk).is_final
    assert (run.status, run.trigger, run.actor) == ("queued", "api", "anna")
    wait_until(lambda: is_final(run))
    assert (run.status, run.inserted) == ("success", 2)
    assert run.pid != os.getpid()
    assert numbers.rows("SELECT k, v FROM sync.orders ORDER BY 1") == [(1, "one"), (2, "two")]
    assert "ended: success" in run.log_file.read_text()


_LAUNCHER = """
import os, sys, time
import django
django.setup()
from modules.models import Module
from runs.lifecycle.insert import RunRequest
from runs.lifecycle.launch import launch_run
try:
    run = launch_run(Module.objects.get(name="orders"), RunRequest(trigger="api"))
    print(run.pk, flush=True)
except Exception as error:
    print(type(error).__name__, error.detail, flush=True)
time.sleep(float(sys.argv[1]))
"""


def start_launcher(sleep: float, **environment: str) -> subprocess.Popen[str]:
    """Start a process that launches a run, prints its id or the error, and sleeps for so many seconds."""
    settings = {**os.environ, "DJANGO_SETTINGS_MODULE": "pipekit_site.settings", **environment}
    argv = [sys.executable, "-c", _LAUNCHER, str(sleep)]
    return subprocess.Popen(
        argv, cwd=ROOT, env=settings, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


@pytest.mark.matrix
def test_a_run_continues_after_the_process_group_of_its_launcher_is_killed(numbers: Bench, save_module: Save) -> None:
    save_module("orders", QUERY)
    launcher = start_launcher(600, PIPEKIT_FAULTS="transfer.started=stop")
    assert launcher.stdout is not None
    run = Run.objects.get(pk=int(launcher.stdout.readline()))
    wait_until(lambda: Run.objects.get(pk=run.pk).steps)
    os.killpg(launcher.pid, signal.SIGKILL)
    # the launcher's pipe ends, because the run does not hold it open
    assert launcher.communicate(timeout=120)[0] == ""
    assert not is_final(run)
    resume_when_stopped(run.pid)
    wait_until(lambda: is_final(run))
    assert run.status == "success"


@pytest.mark.matrix
def test_a_launcher_killed_before_it_started_a_process_blocks_the_next_launch_for_at_most_15_seconds(
    numbers: Bench, save_module: Save
) -> None:
    module = save_module("orders", QUERY)
    launcher = start_launcher(0, PIPEKIT_FAULTS="launch.queued=kill9")
    launcher.communicate(timeout=60)
    assert launcher.returncode == -signal.SIGKILL
    abandoned = Run.objects.get()
    assert (abandoned.status, abandoned.pid) == ("queued", None)
    with pytest.raises(AlreadyRunning):
        launch_run(module, RunRequest())

    wait_until(lambda: timezone.now() - abandoned.created_at > dt.timedelta(seconds=14.5))
    run = launch_run(module, RunRequest())
    wait_until(lambda: is_final(run))
    assert is_final(abandoned)
    code = abandoned.error["code"] if abandoned.error else ""
    assert (abandoned.status, code, run.status) == ("error", "lost", "success")


@pytest.mark.matrix
def test_a_run_is_no_child_of_its_launcher_and_inherits_no_open_files(
    numbers: Bench, save_module: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPEKIT_FAULTS", "transfer.started=stop")
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    run = launch_run(save_module("orders", QUERY), RunRequest())
    wait_until(lambda: Run.objects.get(pk=run.pk).steps)
    pid = Run.objects.get(pk=run.pk).pid
    assert pid is not None
    os.close(write_end)
    # end of file, because the run did not inherit the other end
    assert os.read(read_end, 1) == b""
    os.close(read_end)
    assert psutil.Process(pid).ppid() != os.getpid()
    assert os.getsid(pid) != os.getsid(0)
    resume_when_stopped(pid)
    wait_until(lambda: is_final(run))
    wait_until(lambda: not psutil.pid_exists(pid))


@pytest.mark.matrix
def test_of_two_concurrent_launches_one_is_refused_with_the_run_of_the_other(numbers: Bench, save_module: Save) -> None:
    save_module("orders", QUERY)
    launchers = [start_launcher(0, PIPEKIT_FAULTS="transfer.started=stop") for _ in range(2)]
    outputs = sorted((process.communicate(timeout=120)[0].strip() for process in launchers), key=len)
    run = Run.objects.get()
    assert outputs == [str(run.pk), f"AlreadyRunning {run.pk}"]
    wait_until(lambda: Run.objects.get().pid)
    resume_when_stopped(Run.objects.get().pid)
    wait_until(lambda: is_final(run))
    assert run.status == "success"


def test_a_run_whose_process_cannot_be_started_fails_at_once_and_does_not_block_the_next(
    numbers: Bench, save_module: Save, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = save_module("orders", QUERY)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nopython"))
    run = launch_run(module, RunRequest())
    assert run.error is not None
    assert (run.status, run.error["code"]) == ("error", "launch_failed")
    assert "nopython" in run.error["detail"]
    monkeypatch.undo()
    again = launch_run(module, RunRequest())
    wait_until(lambda: is_final(again))
    assert again.status == "success"


class QueueingLauncher:
    """A launcher that starts no process: the run stays queued until a worker executes it."""

    def launch(self, words: list[str], *, log: Path) -> None:
        self.words = words


def test_the_launcher_can_be_replaced_in_the_settings(save_module: Save, settings: Any) -> None:
    settings.RUN_LAUNCHER = "tests.integration.runs.test_launch.QueueingLauncher"
    run = launch_run(save_module("orders", QUERY), RunRequest())
    run.refresh_from_db()
    assert (run.status, run.pid) == ("queued", None)


@pytest.mark.matrix
def test_25_modules_run_concurrently_without_failing_on_locked_metadata(
    pg_bench: Bench, save_module: Save, save_connection: Any
) -> None:
    pg_bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'one'), (2, 'two')")
    source = save_connection(pg_bench.source)
    runs = [launch_run(save_module(f"m{n}", QUERY, source=source), RunRequest(trigger="schedule:1")) for n in range(25)]
    wait_until(lambda: not Run.objects.active().exists())
    assert {run.status for run in Run.objects.all()} == {"success"}
    for run in runs:
        text = run.log_file.read_text()
        assert "ended: success" in text
        assert "could not be written" not in text
        assert pg_bench.rows(f"SELECT count(*) FROM sync.{run.module_name}") == [(2,)]
