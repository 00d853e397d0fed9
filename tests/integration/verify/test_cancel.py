"""A verification that hangs ends when it is cancelled: its process is signalled, and killed after a grace."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from modules.models import Module
from runs.lifecycle import cancel
from runs.lifecycle.cancel import CancelResult
from runs.models import Run, Verification
from runs.models.transitions import IllegalTransition
from runs.process import identity
from runs.verifications import cancel as verification_cancel
from runs.verifications import launch
from tests.harness.bench import Bench
from tests.processes.commands import alive, call, manage, start, stopped, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("_TERMINATE", 1.0), ("_KILL", 2.0), ("_KILL_DESCENDANTS", 3.0)):
        monkeypatch.setattr(cancel, name, seconds)


@pytest.fixture
def modules(bench: Bench, save_module: Callable[..., Module]) -> list[str]:
    """Save two modules of two rows each, one of which is missing in the destination of the first."""
    bench.at_source("CREATE TABLE s (id INTEGER, name TEXT)", "INSERT INTO s VALUES (1, 'one'), (2, 'two')")
    bench.at_destination("CREATE SCHEMA sync")
    for name in ("orders", "items"):
        save_module(name, "SELECT id AS id, name AS name FROM s", merge_strategy="upsert", merge_key="id")
        bench.at_destination(f"CREATE TABLE sync.{name} AS SELECT 1 AS id, 'one'::text AS name")
    bench.at_destination("INSERT INTO sync.items VALUES (2, 'two')")
    return ["orders", "items"]


def hanging(point: str, *words: str) -> subprocess.Popen[str]:
    """Start a command that stops itself at the fault point and answers no signal but SIGKILL; wait until it has."""
    process = start(*words, PIPEKIT_FAULTS=f"{point}=stop")
    wait_until(lambda: stopped(process.pid))
    return process


def code(process: subprocess.Popen[str]) -> int:
    """Wait for the process and return its exit code."""
    process.communicate(timeout=120)
    return process.returncode


def code_of(row: Verification) -> str:
    row.refresh_from_db()
    return str((row.error or {}).get("code", row.status))


def test_the_command_ends_a_verification_that_hangs(modules: list[str]) -> None:
    process = hanging("verification.compared", "verifymodule", "orders")
    row = Verification.objects.get()
    result = call("verifymodule", "orders", "--cancel")
    assert (result.code, result.out.strip()) == (0, f"verification {row.pk}: cancelled"), result.err
    assert code(process) == -signal.SIGKILL
    assert code_of(row) == "cancelled"


@pytest.mark.matrix
def test_cancelrun_ends_a_verification_by_its_number(modules: list[str]) -> None:
    process = hanging("verification.compared", "verifymodule", "orders")
    row = Verification.objects.get()
    result = call("cancelrun", "--verification", str(row.pk))
    assert (result.code, result.out.strip()) == (0, f"verification {row.pk}: cancelled"), result.err
    assert code(process) == -signal.SIGKILL
    assert call("cancelrun", "--verification", str(row.pk)).code == 1
    assert call("cancelrun", "--verification", "4417").code == 3


@pytest.mark.matrix
def test_the_verifications_that_waited_for_one_that_was_killed_are_executed(modules: list[str]) -> None:
    rows = [
        Verification.objects.create(module=module, module_name=module.name) for module in Module.objects.order_by("pk")
    ]
    process = hanging("verification.compared", "carryout", "--verification", *(str(row.pk) for row in rows))
    rows[0].refresh_from_db()
    assert rows[0].process is not None
    rows[1].assign_process(**rows[0].process.as_fields())
    assert call("cancelrun", "--verification", str(rows[0].pk)).code == 0
    assert code(process) == -signal.SIGKILL
    wait_until(lambda: code_of(rows[1]) == "equal")
    assert code_of(rows[0]) == "cancelled"


def test_two_cancels_of_one_verification_start_one_process_for_the_verifications_that_waited(
    modules: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = {**identity.current().as_fields(), "boot_id": "another boot"}
    killed, waiting = [
        Verification.objects.create(module=module, module_name=module.name, **dead)
        for module in Module.objects.order_by("pk")
    ]
    killed.finish_error({"code": "cancelled", "message": ""})
    launched: list[list[str]] = []

    class Launcher:
        def launch(self, args: list[str], *, log: Path) -> identity.ProcessIdentity:
            launched.append(args)
            if len(launched) == 1:
                # the other cancel arrives while the process starts
                verification_cancel._with_next(killed, CancelResult.CANCELLED)
            return identity.current()

    monkeypatch.setattr(launch, "configured_launcher", Launcher)
    verification_cancel._with_next(killed, CancelResult.CANCELLED)
    assert launched == [["carryout", "--verification", str(waiting.pk)]]
    waiting.refresh_from_db()
    assert (waiting.status, waiting.process) == ("queued", identity.current())


def test_a_verification_that_runs_is_not_started_again_by_another_process(modules: list[str]) -> None:
    module = Module.objects.get(name="orders")
    row = Verification.objects.create(module=module, module_name=module.name)
    here = identity.current().as_fields()
    row.start(**here)
    # again after the answer of the metadata database was lost
    row.start(**here)
    with pytest.raises(IllegalTransition):
        row.start(**{**here, "process_started": here["process_started"] + 1})
    row.refresh_from_db()
    assert row.process == identity.current()


@pytest.mark.matrix
def test_the_repair_run_of_a_verification_that_is_killed_ends_with_it(modules: list[str], bench: Bench) -> None:
    process = hanging("publish.begun", "verifymodule", "orders", "--repair")
    row, run = Verification.objects.get(), Run.objects.get()
    assert call("verifymodule", "orders", "--cancel").code == 0
    assert code(process) == -signal.SIGKILL
    run.refresh_from_db()
    assert (run.status, run.published_at) == ("cancelled", None)
    assert code_of(row) == "cancelled"
    assert row.repair_run == run
    assert bench.rows("SELECT id FROM sync.orders") == [(1,)]


@pytest.mark.matrix
def test_a_verification_that_answers_signals_is_not_killed(modules: list[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    faults = {"PIPEKIT_FAULTS": "verification.compared=sleep:600", "PIPEKIT_FAULT_LOG": str(log)}
    process = start("verifymodule", "orders", **faults)
    wait_until(lambda: log.exists() and "verification.compared sleep" in log.read_text())
    assert manage("verifymodule", "orders", "--cancel").code == 0
    assert code(process) == 130
    assert not alive(process.pid)
