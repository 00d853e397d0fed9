"""Runs whose process died are finalized, and do not block the next one; live processes are left alone."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from django.utils import timezone

from connections.sdk.errors import AlreadyRunning
from runs.lifecycle.insert import RunRequest
from runs.lifecycle.launch import launch_run
from runs.lifecycle.liveness import seems_dead
from runs.lifecycle.reap import reap_all
from runs.models import GroupRun, Run
from runs.process import control, identity
from tests.factories import GroupRunFactory, RunFactory, change_settings
from tests.harness.bench import Bench
from tests.integration.runs.orders import QUERY, Save, is_final
from tests.processes.commands import manage, resume_when_stopped, start, stopped, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.matrix
def test_a_run_whose_process_was_killed_does_not_block_the_next_launch(
    numbers: Bench, save_module: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = save_module("orders", QUERY)
    monkeypatch.setenv("PIPEKIT_FAULTS", "transfer.started=sleep:600")
    killed = launch_run(module, RunRequest())
    wait_until(lambda: Run.objects.get(pk=killed.pk).steps)
    with pytest.raises(AlreadyRunning, match=f"run {killed.pk}"):
        launch_run(module, RunRequest())
    os.kill(Run.objects.get(pk=killed.pk).pid or 0, signal.SIGKILL)
    monkeypatch.undo()
    wait_until(lambda: seems_dead(Run.objects.get(pk=killed.pk)))
    run = launch_run(module, RunRequest())
    wait_until(lambda: is_final(run))
    assert run.status == "success"
    killed.refresh_from_db()
    assert killed.error is not None
    assert (killed.status, killed.error["code"]) == ("error", "lost")


@pytest.mark.matrix
@pytest.mark.matrix
def test_the_statement_of_a_killed_run_in_the_destination_is_ended(numbers: Bench, save_module: Save) -> None:
    numbers.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.orders (k int, v text)",
        "CREATE FUNCTION sync.slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$",
        "CREATE TRIGGER slow BEFORE INSERT ON sync.orders FOR EACH ROW EXECUTE FUNCTION sync.slow()",
    )
    run = launch_run(save_module("orders", QUERY), RunRequest())
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    wait_until(lambda: numbers.rows(sleeping) == [(1,)])
    os.kill(Run.objects.get(pk=run.pk).pid or 0, signal.SIGKILL)
    wait_until(lambda: numbers.rows(sleeping) == [(0,)])
    wait_until(lambda: seems_dead(Run.objects.get(pk=run.pk)))
    assert reap_all() == 1
    assert numbers.rows("SELECT * FROM sync.orders") == []


@pytest.mark.matrix
def test_a_process_killed_before_it_started_its_run_does_not_block_the_next_launch(
    numbers: Bench, save_module: Save, settings: Any
) -> None:
    module = save_module("orders", QUERY)
    process = subprocess.Popen([sys.executable, "-c", ""])
    dead = identity.of_pid(process.pid)
    process.wait()
    first = RunFactory.create(module=module, dest_lock_key="")
    first.assign_process(**dead.as_fields())
    run = launch_run(module, RunRequest())
    wait_until(lambda: is_final(run))
    assert run.status == "success"
    assert is_final(first)


def run_of_this_process(status: str = "running", **fields: Any) -> Run:
    return RunFactory.create(status=status, **{**identity.current().as_fields(), **fields})


def test_the_tick_finalizes_dead_runs_and_leaves_live_ones() -> None:
    alive = run_of_this_process()
    rebooted = run_of_this_process(boot_id="another boot")
    reused_pid = run_of_this_process(process_started=identity.current().started - 1)
    lost = run_of_this_process(status="lost")
    never_started = RunFactory.create(status="queued")
    Run.objects.filter(pk=never_started.pk).update(created_at=timezone.now() - dt.timedelta(seconds=15))
    just_queued = RunFactory.create(status="queued")
    assert reap_all() == 4
    stored = {run.pk: run for run in Run.objects.all()}
    assert [stored[run.pk].status for run in (alive, just_queued)] == ["running", "queued"]
    for run in (rebooted, reused_pid, lost, never_started):
        error = stored[run.pk].error
        assert error is not None
        assert (stored[run.pk].status, error["code"]) == ("error", "lost")
    assert "never started" in (stored[never_started.pk].error or {})["message"]
    assert reap_all() == 0


def test_another_process_that_has_the_same_pid_is_never_signalled() -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        real = identity.of_pid(other.pid)
        with control.open_process(replace(real, started=real.started - 1)) as process:
            process.terminate()
            process.kill()
        with control.open_process(replace(real, boot="another boot")) as process:
            process.kill()
        time.sleep(0.2)
        assert other.poll() is None
        with control.open_process(real) as process:
            process.kill()
        assert other.wait(timeout=120) == -signal.SIGKILL
    finally:
        with suppress(ProcessLookupError):
            other.kill()
        other.wait()


def test_a_run_on_another_machine_is_dead_once_its_heartbeat_has_stopped_for_the_lease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = run_of_this_process(machine_id="elsewhere:1", heartbeat=7)
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert not seems_dead(run)
    now[0] += 59
    assert not seems_dead(Run.objects.get())
    run.beat()
    now[0] += 2
    assert not seems_dead(Run.objects.get())
    now[0] += 61
    assert seems_dead(Run.objects.get())
    # an observation by the clock of another boot does not count
    Run.objects.update(sighting={"clock": "x", "heartbeat": 8, "at": -1e9})
    assert not seems_dead(Run.objects.get())


def test_several_machines_that_observe_a_dead_run_measure_the_lease_each_by_its_own_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_of_this_process(machine_id="elsewhere:1", heartbeat=7)
    here = identity.current()

    def seems_dead_at(machine: str, seconds: float) -> bool:
        monkeypatch.setattr(identity, "current", lambda: replace(here, machine=machine))
        # monotonic clocks begin when a machine boots
        monkeypatch.setattr(time, "monotonic", lambda: seconds + {"b": 1000.0, "c": 5e6}[machine])
        return seems_dead(Run.objects.get())

    for seconds in (0.0, 20.0, 40.0):
        assert not seems_dead_at("b", seconds)
        assert not seems_dead_at("c", seconds)
    Run.objects.update(heartbeat=8)
    for seconds in (70.0, 100.0, 125.0):
        assert not seems_dead_at("b", seconds)
        assert not seems_dead_at("c", seconds)
    assert seems_dead_at("c", 131.0)
    assert seems_dead_at("b", 131.0)


def test_a_run_whose_heartbeats_are_rarer_than_the_lease_is_not_dead_between_two_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # stored before such settings were refused
    change_settings(heartbeat_seconds=60, lease_seconds=10)
    run = run_of_this_process(machine_id="elsewhere:1", heartbeat=7)
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert not seems_dead(run)
    now[0] += 61
    assert not seems_dead(Run.objects.get())
    now[0] += 61
    assert seems_dead(Run.objects.get())


@pytest.mark.matrix
def test_a_stalled_run_that_was_considered_dead_does_not_publish_when_it_continues(
    numbers: Bench, save_module: Save
) -> None:
    save_module("orders", QUERY)
    stalled = start("runmodule", "orders", "--json", PIPEKIT_FAULTS="transfer.finished=stop")
    wait_until(lambda: Run.objects.filter(staged=2).exists())
    first = Run.objects.get()
    wait_until(lambda: stopped(stalled.pid))
    # make it a run of another machine without a heartbeat for longer than the lease
    sighting = {"clock": _clock(), "heartbeat": first.heartbeat, "at": -1000.0}
    Run.objects.filter(pk=first.pk).update(machine_id="elsewhere:1", sighting=sighting)
    numbers.at_source("UPDATE s SET v = 'new'")
    second = manage("runmodule", "orders", "--json")
    assert (second.code, second.json["inserted"]) == (0, 2), second.err
    numbers.at_destination("UPDATE sync.orders SET v = 'mark'")
    finalized = Run.objects.get(pk=first.pk)
    resume_when_stopped(stalled.pid)
    stalled.communicate(timeout=120)
    assert numbers.rows("SELECT DISTINCT v FROM sync.orders") == [("mark",)]
    after = Run.objects.get(pk=first.pk)
    assert (after.status, after.error, after.finished_at) == ("error", finalized.error, finalized.finished_at)
    assert (after.error or {})["code"] == "lost"


def _clock() -> str:
    here = identity.current()
    return f"{here.machine} {here.boot}"


@pytest.mark.matrix
def test_the_heartbeat_continues_while_a_run_waits_for_a_lock(numbers: Bench, save_module: Save) -> None:
    change_settings(heartbeat_seconds=1)
    numbers.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.orders (k integer, v text)")
    with psycopg.connect(numbers.destination.url) as holder:
        holder.execute("LOCK TABLE sync.orders IN ACCESS EXCLUSIVE MODE")
        run = launch_run(save_module("orders", QUERY), RunRequest())
        wait_until(lambda: Run.objects.filter(pk=run.pk, heartbeat__gte=2).exists())
        assert not is_final(run)
    wait_until(lambda: is_final(run))
    assert run.status == "success"


def test_a_group_run_whose_process_is_dead_is_finalized_once_its_runs_have_ended() -> None:
    group_run = GroupRunFactory.create(
        status="running", members=["a", "b"], **{**identity.current().as_fields(), "boot_id": "another boot"}
    )
    run = run_of_this_process(group_run=group_run)
    assert reap_all() == 0
    run.finish_success()
    assert reap_all() == 1
    finalized = GroupRun.objects.get()
    assert (finalized.status, (finalized.error or {})["code"]) == ("partial", "lost")
    assert (finalized.error or {})["message"].endswith("members that were not run: a, b.")
