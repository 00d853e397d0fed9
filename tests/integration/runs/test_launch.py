"""A launched run has a process of its own: it outlives who started it, and its death blocks nobody."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from django.utils import timezone

from connections.sdk.errors import AlreadyRunning
from modules.models import Module
from runs.lifecycle.claim import Request
from runs.lifecycle.launch import launch
from runs.lifecycle.reap import reap_all, seems_dead
from runs.models import GroupRun, Run
from runs.process import control, identity
from tests.benches.bench import Bench
from tests.factories import GroupRunFactory, RunFactory, change_settings
from tests.processes.commands import ROOT, go_on, manage, start, stopped, wait_until

QUERY = "SELECT k, v FROM s"
Save = Callable[..., Module]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def numbers(bench: Bench) -> Bench:
    bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'one'), (2, 'two')")
    return bench


def over(run: Run) -> bool:
    run.refresh_from_db()
    return run.is_final


def test_a_launched_run_is_queued_at_once_and_ends_by_itself(numbers: Bench, save_module: Save) -> None:
    module = save_module("orders", QUERY)
    numbers.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.orders (k integer, v text)")
    with psycopg.connect(numbers.destination.url) as holder:
        # until this is over, so is no run
        holder.execute("LOCK TABLE sync.orders IN ACCESS EXCLUSIVE MODE")
        run = launch(module, Request(trigger="api", actor="anna"))
        assert not Run.objects.get(pk=run.pk).is_final
    assert (run.status, run.trigger, run.actor) == ("queued", "api", "anna")
    wait_until(lambda: over(run))
    assert (run.status, run.inserted) == ("success", 2)
    assert run.pid != os.getpid()
    assert numbers.rows("SELECT k, v FROM sync.orders ORDER BY 1") == [(1, "one"), (2, "two")]
    assert "ended: success" in run.log_file.read_text()


_LAUNCHER = """
import os, sys, time
import django
django.setup()
from modules.models import Module
from runs.lifecycle.claim import Request
from runs.lifecycle.launch import launch
try:
    run = launch(Module.objects.get(name="orders"), Request(trigger="api"))
    print(run.pk, flush=True)
except Exception as error:
    print(type(error).__name__, error.detail, flush=True)
time.sleep(float(sys.argv[1]))
"""


def launcher(sleep: float, **environment: str) -> subprocess.Popen[str]:
    settings = {**os.environ, "DJANGO_SETTINGS_MODULE": "pipekit_site.settings", **environment}
    argv = [sys.executable, "-c", _LAUNCHER, str(sleep)]
    return subprocess.Popen(
        argv, cwd=ROOT, env=settings, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


@pytest.mark.matrix
def test_the_run_goes_on_when_its_launcher_and_all_its_group_are_killed(numbers: Bench, save_module: Save) -> None:
    save_module("orders", QUERY)
    web = launcher(600, PIPEKIT_FAULTS="transfer.started=stop")
    assert web.stdout is not None
    run = Run.objects.get(pk=int(web.stdout.readline()))
    wait_until(lambda: Run.objects.get(pk=run.pk).steps)
    os.killpg(web.pid, signal.SIGKILL)
    # the pipe ends with the launcher: the run holds none of its ends
    assert web.communicate(timeout=120)[0] == ""
    assert not over(run)
    go_on(run.pid)
    wait_until(lambda: over(run))
    assert run.status == "success"


@pytest.mark.matrix
def test_a_launcher_killed_before_there_is_a_process_blocks_the_next_for_15_seconds_at_most(
    numbers: Bench, save_module: Save
) -> None:
    module = save_module("orders", QUERY)
    killed = launcher(0, PIPEKIT_FAULTS="launch.queued=kill9")
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    left = Run.objects.get()
    assert (left.status, left.pid) == ("queued", None)
    with pytest.raises(AlreadyRunning):
        launch(module, Request())

    wait_until(lambda: timezone.now() - left.created_at > dt.timedelta(seconds=14.5))
    run = launch(module, Request())
    wait_until(lambda: over(run))
    assert over(left)
    assert (left.status, left.error["code"] if left.error else "", run.status) == ("error", "lost", "success")


@pytest.mark.matrix
def test_the_launcher_never_has_a_zombie_and_the_run_none_of_its_files(
    numbers: Bench, save_module: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPEKIT_FAULTS", "transfer.started=stop")
    held, other = os.pipe()
    os.set_inheritable(other, True)
    run = launch(save_module("orders", QUERY), Request())
    wait_until(lambda: Run.objects.get(pk=run.pk).steps)
    pid = Run.objects.get(pk=run.pk).pid
    assert pid is not None
    os.close(other)
    # an end of file: the run did not inherit the other end
    assert os.read(held, 1) == b""
    os.close(held)
    assert psutil.Process(pid).ppid() != os.getpid()
    assert os.getsid(pid) != os.getsid(0)
    go_on(pid)
    wait_until(lambda: over(run))
    wait_until(lambda: not psutil.pid_exists(pid))


@pytest.mark.matrix
def test_of_two_launches_at_once_one_is_told_of_the_other(numbers: Bench, save_module: Save) -> None:
    save_module("orders", QUERY)
    both = [launcher(0, PIPEKIT_FAULTS="transfer.started=stop") for _ in range(2)]
    said = sorted((process.communicate(timeout=120)[0].strip() for process in both), key=len)
    run = Run.objects.get()
    assert said == [str(run.pk), f"AlreadyRunning {run.pk}"]
    wait_until(lambda: Run.objects.get().pid)
    go_on(Run.objects.get().pid)
    wait_until(lambda: over(run))
    assert run.status == "success"


def test_a_process_that_cannot_be_started_is_the_run_s_error_at_once(
    numbers: Bench, save_module: Save, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = save_module("orders", QUERY)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nopython"))
    run = launch(module, Request())
    assert run.error is not None
    assert (run.status, run.error["code"]) == ("error", "launch_failed")
    assert "nopython" in run.error["detail"]
    monkeypatch.undo()
    again = launch(module, Request())
    wait_until(lambda: over(again))
    assert again.status == "success"


class Elsewhere:
    """A launcher of another kind: the run stays queued until a worker, far away, takes it."""

    def launch(self, words: list[str], *, log: Path) -> None:
        self.words = words


def test_another_launcher_is_a_setting(save_module: Save, settings: Any) -> None:
    settings.RUN_LAUNCHER = "tests.integration.runs.test_launch.Elsewhere"
    run = launch(save_module("orders", QUERY), Request())
    run.refresh_from_db()
    assert (run.status, run.pid) == ("queued", None)


@pytest.mark.matrix
def test_a_killed_run_blocks_the_next_launch_for_no_time(
    numbers: Bench, save_module: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = save_module("orders", QUERY)
    monkeypatch.setenv("PIPEKIT_FAULTS", "transfer.started=sleep:600")
    killed = launch(module, Request())
    wait_until(lambda: Run.objects.get(pk=killed.pk).steps)
    with pytest.raises(AlreadyRunning, match=f"run {killed.pk}"):
        launch(module, Request())
    os.kill(Run.objects.get(pk=killed.pk).pid or 0, signal.SIGKILL)
    monkeypatch.undo()
    wait_until(lambda: seems_dead(Run.objects.get(pk=killed.pk)))
    run = launch(module, Request())
    wait_until(lambda: over(run))
    assert run.status == "success"
    killed.refresh_from_db()
    assert killed.error is not None
    assert (killed.status, killed.error["code"]) == ("error", "lost")


@pytest.mark.matrix
def test_what_a_killed_run_was_executing_in_the_destination_ends_too(numbers: Bench, save_module: Save) -> None:
    numbers.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.orders (k int, v text)",
        "CREATE FUNCTION sync.slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$",
        "CREATE TRIGGER slow BEFORE INSERT ON sync.orders FOR EACH ROW EXECUTE FUNCTION sync.slow()",
    )
    run = launch(save_module("orders", QUERY), Request())
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    wait_until(lambda: numbers.rows(asleep) == [(1,)])
    os.kill(Run.objects.get(pk=run.pk).pid or 0, signal.SIGKILL)
    wait_until(lambda: numbers.rows(asleep) == [(0,)])
    wait_until(lambda: seems_dead(Run.objects.get(pk=run.pk)))
    assert reap_all() == 1
    assert numbers.rows("SELECT * FROM sync.orders") == []


@pytest.mark.matrix
def test_25_modules_run_at_once_and_none_finds_the_metadata_locked(
    pg_bench: Bench, save_module: Save, save_connection: Any
) -> None:
    pg_bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'one'), (2, 'two')")
    source = save_connection(pg_bench.source)
    runs = [launch(save_module(f"m{n}", QUERY, source=source), Request(trigger="schedule:1")) for n in range(25)]
    wait_until(lambda: not Run.objects.active().exists())
    assert {run.status for run in Run.objects.all()} == {"success"}
    for run in runs:
        text = run.log_file.read_text()
        assert "ended: success" in text
        assert "could not be written" not in text
        assert pg_bench.rows(f"SELECT count(*) FROM sync.{run.module_name}") == [(2,)]


def test_one_killed_before_its_first_word_blocks_nobody_either(
    numbers: Bench, save_module: Save, settings: Any
) -> None:
    module = save_module("orders", QUERY)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    was = identity.of_pid(gone.pid)
    gone.wait()
    first = RunFactory.create(module=module, dest_lock_key="")
    first.assign_process(**was.as_fields())
    run = launch(module, Request())
    wait_until(lambda: over(run))
    assert run.status == "success"
    assert over(first)


def owned(status: str = "running", **fields: Any) -> Run:
    """A run of this very process, unless said otherwise."""
    return RunFactory.create(status=status, **{**identity.current().as_fields(), **fields})


def test_the_tick_settles_what_is_dead_and_leaves_what_lives() -> None:
    lives = owned()
    rebooted = owned(boot_id="another boot")
    reused = owned(process_started=identity.current().started - 1)
    half_settled = owned(status="lost")
    never_came = RunFactory.create(status="queued")
    Run.objects.filter(pk=never_came.pk).update(created_at=timezone.now() - dt.timedelta(seconds=15))
    young = RunFactory.create(status="queued")
    assert reap_all() == 4
    found = {run.pk: run for run in Run.objects.all()}
    assert [found[run.pk].status for run in (lives, young)] == ["running", "queued"]
    for run in (rebooted, reused, half_settled, never_came):
        error = found[run.pk].error
        assert error is not None
        assert (found[run.pk].status, error["code"]) == ("error", "lost")
    assert "never started" in (found[never_came.pk].error or {})["message"]
    assert reap_all() == 0


def test_a_stranger_with_the_same_pid_is_never_signalled() -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        real = identity.of_pid(stranger.pid)
        with control.open_process(replace(real, started=real.started - 1)) as process:
            process.terminate()
            process.kill()
        with control.open_process(replace(real, boot="another boot")) as process:
            process.kill()
        time.sleep(0.2)
        assert stranger.poll() is None
        with control.open_process(real) as process:
            process.kill()
        assert stranger.wait(timeout=120) == -signal.SIGKILL
    finally:
        with suppress(ProcessLookupError):
            stranger.kill()
        stranger.wait()


def test_a_run_on_another_machine_is_dead_when_its_heartbeat_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    run = owned(machine_id="elsewhere:1", heartbeat=7)
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
    # what another boot's clock said means nothing
    Run.objects.update(sighting={"clock": "x", "heartbeat": 8, "at": -1e9})
    assert not seems_dead(Run.objects.get())


@pytest.mark.matrix
def test_a_run_that_stood_still_and_was_given_up_does_not_publish_late(numbers: Bench, save_module: Save) -> None:
    save_module("orders", QUERY)
    zombie = start("runmodule", "orders", "--json", PIPEKIT_FAULTS="transfer.finished=stop")
    wait_until(lambda: Run.objects.filter(staged=2).exists())
    first = Run.objects.get()
    wait_until(lambda: stopped(zombie.pid))
    # to another machine it looks like this one: no heartbeat for longer than the lease
    sighting = {"clock": _clock(), "heartbeat": first.heartbeat, "at": -1000.0}
    Run.objects.filter(pk=first.pk).update(machine_id="elsewhere:1", sighting=sighting)
    numbers.at_source("UPDATE s SET v = 'new'")
    second = manage("runmodule", "orders", "--json")
    assert (second.code, second.json["inserted"]) == (0, 2), second.err
    numbers.at_destination("UPDATE sync.orders SET v = 'mark'")
    settled = Run.objects.get(pk=first.pk)
    go_on(zombie.pid)
    zombie.communicate(timeout=120)
    assert numbers.rows("SELECT DISTINCT v FROM sync.orders") == [("mark",)]
    after = Run.objects.get(pk=first.pk)
    assert (after.status, after.error, after.finished_at) == ("error", settled.error, settled.finished_at)
    assert (after.error or {})["code"] == "lost"


def _clock() -> str:
    here = identity.current()
    return f"{here.machine} {here.boot}"


@pytest.mark.matrix
def test_a_run_gives_signs_of_life_whatever_it_waits_for(numbers: Bench, save_module: Save) -> None:
    change_settings(heartbeat_seconds=1)
    numbers.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.orders (k integer, v text)")
    with psycopg.connect(numbers.destination.url) as holder:
        holder.execute("LOCK TABLE sync.orders IN ACCESS EXCLUSIVE MODE")
        run = launch(save_module("orders", QUERY), Request())
        wait_until(lambda: Run.objects.filter(pk=run.pk, heartbeat__gte=2).exists())
        assert not over(run)
    wait_until(lambda: over(run))
    assert run.status == "success"


def test_a_group_run_without_a_process_is_settled_when_its_runs_have_ended() -> None:
    group_run = GroupRunFactory.create(
        status="running", members=["a", "b"], **{**identity.current().as_fields(), "boot_id": "another boot"}
    )
    lives = owned(group_run=group_run)
    assert reap_all() == 0
    lives.finish_success()
    assert reap_all() == 1
    settled = GroupRun.objects.get()
    assert (settled.status, (settled.error or {})["code"]) == ("partial", "lost")
    assert "b" in (settled.error or {})["message"]
