"""Cancelling runs that have no process: queued, dead, ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.models import Module
from runs.lifecycle import cancel
from runs.lifecycle.cancel import CancelResult, stop_execution
from runs.lifecycle.insert import RunRequest
from runs.lifecycle.launch import launch_run
from runs.models import GroupRun, Run, Verification
from runs.process import identity
from tests.factories import GroupRunFactory, ModuleFactory, RunFactory
from tests.harness.bench import Bench
from tests.integration.runs.cancel.test_cancel import fired, is_final
from tests.integration.runs.cancel.test_cancel import numbers as numbers
from tests.integration.runs.cancel.test_cancel import orders as orders
from tests.processes.commands import alive, manage, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.matrix
def test_cancelling_a_run_whose_process_is_dead_finalizes_it(
    numbers: Bench, orders: Module, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIPEKIT_FAULTS", "transfer.started=kill9")
    monkeypatch.setenv("PIPEKIT_FAULT_LOG", str(tmp_path / "faults"))
    run = launch_run(orders, RunRequest())
    wait_until(lambda: fired(tmp_path / "faults", "kill9"))
    run.refresh_from_db()
    wait_until(lambda: not alive(run.pid))
    assert manage("cancelrun", str(run.pk)).out.strip() == f"run {run.pk}: cancelled"
    assert is_final(run)


def test_a_queued_run_that_is_cancelled_is_never_executed(orders: Module) -> None:
    run = RunFactory.create(module=orders)
    assert stop_execution(run) is CancelResult.CANCELLED
    done = manage("carryout", "--run", str(run.pk))
    assert done.code == 1
    assert "cancelled" in done.err
    assert is_final(run)
    assert run.started_at is None


def test_a_queued_run_that_starts_while_it_is_cancelled_is_not_finalized_by_the_cancel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = (RunFactory.create(), GroupRunFactory.create(), Verification.objects.create(module=ModuleFactory.create()))

    def start_first(row: Run | GroupRun | Verification) -> bool:
        started = type(row).objects.filter(pk=row.pk, status="queued")
        assert started.update(status="running", **identity.current().as_fields()) == 1
        return False

    monkeypatch.setattr(cancel, "seems_dead", start_first)
    for row in rows:
        assert cancel._request(row) is CancelResult.REQUESTED
        row.refresh_from_db()
        # its process sees the request
        assert (row.status, row.cancel_requested) == ("running", True)


@pytest.mark.matrix
def test_cancelrun_reports_a_run_that_has_ended_and_one_that_does_not_exist(orders: Module) -> None:
    run = RunFactory.create(module=orders, status="success")
    done = manage("cancelrun", str(run.pk))
    assert (done.code, done.out.strip()) == (1, f"run {run.pk}: over already: success")
    missing = manage("cancelrun", "999999")
    assert missing.code == 3
    assert "There is no run 999999" in missing.err
