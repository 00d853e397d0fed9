"""Runs of `runmodule` in processes of their own: two at once, killed, cancelled by a signal, or without their row."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import Any

import pytest
from django.db import connection as metadata

from runs.models import Run
from tests.acceptance.runs.test_runmodule import QUERY, Save
from tests.acceptance.runs.test_runmodule import orders as orders
from tests.harness.bench import Bench
from tests.processes import commands
from tests.processes.commands import manage, resume_when_stopped, stopped, wait_until


def start(name: str, **environment: str) -> subprocess.Popen[str]:
    """Start `runmodule --json` in a process of its own."""
    return commands.start("runmodule", name, "--json", **environment)


@pytest.mark.matrix
def test_a_second_run_of_a_module_exits_with_4_and_names_the_first(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    first = start("qcrh", PIPEKIT_FAULTS="transfer.started=stop")
    wait_until(lambda: Run.objects.active().exists())
    second = manage("runmodule", "qcrh", "--json")
    running = Run.objects.get()
    assert second.code == 4
    assert (second.json["run"], second.json["error"]["code"]) == (None, "already_running")
    assert second.json["error"]["detail"] == str(running.pk)
    assert f"run {running.pk} of qcrh is running" in second.err
    resume_when_stopped(first.pid)
    first.communicate(timeout=120)
    assert first.returncode == 0


@pytest.mark.matrix
def test_two_modules_with_one_destination_table_do_not_run_at_the_same_time(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    save_module("again", QUERY, dest_table="sync.qcrh")
    first = start("qcrh", PIPEKIT_FAULTS="transfer.started=stop")
    wait_until(lambda: Run.objects.active().exists())
    second = manage("runmodule", "again")
    assert second.code == 4
    assert "writes the same table" in second.err
    resume_when_stopped(first.pid)
    first.communicate(timeout=120)


@pytest.mark.matrix
def test_a_killed_run_does_not_block_the_next_and_is_finalized_as_lost(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    killed = start("qcrh", PIPEKIT_FAULTS="publish.before_commit=kill9")
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    result = manage("runmodule", "qcrh", "--json")
    assert (result.code, result.json["inserted"]) == (0, 3)
    lost = Run.objects.order_by("pk")[0]
    assert lost.error is not None
    assert (lost.status, lost.error["code"]) == ("error", "lost")


@pytest.mark.matrix
def test_a_run_killed_after_its_commit_is_finalized_as_successful(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    killed = start("qcrh", PIPEKIT_FAULTS="publish.after_commit=kill9")
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert manage("runmodule", "qcrh", "--json").code == 0
    recovered = Run.objects.order_by("pk")[0]
    assert (recovered.status, recovered.inserted) == ("success", 3)


@pytest.mark.matrix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_the_run_and_the_destination_is_unchanged(
    orders: Bench, save_module: Save, number: signal.Signals, code: int
) -> None:
    save_module("qcrh", QUERY)
    process = start("qcrh", PIPEKIT_FAULTS="publish.before_commit=sleep:600")
    wait_until(lambda: Run.objects.filter(staged=3).exists())
    time.sleep(0.3)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert json.loads(out)["status"] == "cancelled"
    assert orders.rows("SELECT to_regclass('sync.qcrh')") == [(None,)]


@pytest.mark.matrix
def test_a_run_whose_row_is_deleted_from_the_metadata_is_lost_and_not_cancelled(
    orders: Bench, save_module: Save
) -> None:
    save_module("qcrh", QUERY)
    process = start("qcrh", PIPEKIT_FAULTS="publish.before_commit=sleep:600")
    wait_until(lambda: Run.objects.filter(staged=3).exists())
    # as if the metadata file had been replaced or a backup restored
    with metadata.cursor() as cursor:
        cursor.execute(f"DELETE FROM {Run._meta.db_table}")
    out, err = process.communicate(timeout=60)
    run = json.loads(out)
    assert (process.returncode, run["status"], run["error"]["code"]) == (1, "error", "lost"), err
    assert "cancelled" not in err
    assert "replaced or restored" in run["error"]["hint"]
    assert "nothing was published" in run["error"]["message"]
    assert orders.rows("SELECT to_regclass('sync.qcrh')") == [(None,)]


def run_deleted_at(point: str) -> dict[str, Any]:
    """Run `qcrh`, delete the row of the run while it is stopped at this fault point, and return its JSON."""
    process = start("qcrh", PIPEKIT_FAULTS=f"{point}=stop")
    wait_until(lambda: stopped(process.pid))
    with metadata.cursor() as cursor:
        cursor.execute(f"DELETE FROM {Run._meta.db_table}")
    resume_when_stopped(process.pid)
    out, err = process.communicate(timeout=120)
    assert "cancelled" not in err
    return {**json.loads(out), "exit": process.returncode}


@pytest.mark.matrix
def test_a_run_whose_row_is_deleted_before_it_publishes_is_lost(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    run = run_deleted_at("transfer.finished")
    assert (run["exit"], run["status"], run["error"]["code"]) == (1, "error", "lost")
    assert "nothing was published" in run["error"]["message"]
    assert orders.rows("SELECT to_regclass('sync.qcrh')") == [(None,)]


@pytest.mark.matrix
def test_a_run_whose_row_is_deleted_after_its_commit_is_successful(orders: Bench, save_module: Save) -> None:
    save_module("qcrh", QUERY)
    run = run_deleted_at("publish.after_commit")
    assert (run["exit"], run["status"], run["inserted"]) == (0, "success", 3)
    assert "was deleted from the metadata database" in run["warnings"][0]
    assert orders.rows("SELECT count(*) FROM sync.qcrh") == [(3,)]
