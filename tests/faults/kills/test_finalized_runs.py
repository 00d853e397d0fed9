"""A killed run is finalized by the commit records of the destination that it wrote, whatever its module names now."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from connections.sdk.parameters import ConnectionParameters
from modules.models import Module
from runs.lifecycle.reap import reap_all
from runs.models import Run
from tests.factories import HookFactory, WarehouseFactory
from tests.harness.bench import Bench
from tests.processes.commands import resume_when_stopped, start, stopped, wait_until

QUERY = "SELECT k AS k, v AS v FROM s"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def orders(bench: Bench, save_module: Callable[..., Module]) -> Module:
    """Return a module with two rows at its source."""
    bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'one'), (2, 'two')")
    return save_module("orders", QUERY, dest_table="sync.t", merge_key="k", merge_strategy="upsert", key_sync=True)


def kill(point: str, *words: str) -> Run:
    """Start a command that is killed at the fault point; return the newest run."""
    process = start(*words, PIPEKIT_FAULTS=f"{point}=kill9")
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    return Run.objects.latest("pk")


def finalized(run: Run) -> Run:
    assert reap_all() == 1
    run.refresh_from_db()
    return run


@pytest.mark.matrix
def test_a_run_that_had_published_is_successful_even_if_its_module_was_given_another_table(orders: Module) -> None:
    run = kill("publish.after_commit", "runmodule", "orders")
    Module.objects.filter(pk=orders.pk).update(dest_table="sync.other")
    assert (finalized(run).status, run.inserted) == ("success", 2)


@pytest.mark.matrix
@pytest.mark.parametrize("point", ["publish.after_commit", "transfer.finished"])
def test_the_result_of_a_killed_run_is_unknown_if_its_module_has_another_destination_now(
    orders: Module, save_connection: Any, warehouse_of: Callable[[str], ConnectionParameters], point: str
) -> None:
    run = kill(point, "runmodule", "orders")
    Module.objects.filter(pk=orders.pk).update(dest_connection=save_connection(warehouse_of("sqlite")))
    error = finalized(run).error
    assert error is not None
    assert (run.status, error["code"]) == ("error", "lost")
    assert "whether it published is not known" in error["message"]
    assert "destination" in error["detail"]


def test_a_killed_run_that_had_not_published_says_so(orders: Module) -> None:
    error = finalized(kill("publish.before_commit", "runmodule", "orders")).error
    assert error is not None
    assert "nothing was published" in error["message"]


@pytest.mark.matrix
def test_the_deletes_of_a_killed_repair_are_counted(bench: Bench, orders: Module) -> None:
    bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (k bigint PRIMARY KEY, v text)",
        "INSERT INTO sync.t VALUES (1, 'one'), (8, 'extra'), (9, 'extra')",
    )
    run = kill("reconcile.finished", "verifymodule", "orders", "--repair", "--force")
    assert bench.rows("SELECT k FROM sync.t ORDER BY k") == [(1,), (2,)]
    assert (finalized(run).status, run.inserted, run.deleted) == ("success", 1, 2)


@pytest.mark.matrix
def test_a_run_interrupted_after_its_commit_is_successful_even_if_its_module_has_changed(
    orders: Module,
) -> None:
    process = start("runmodule", "orders", PIPEKIT_FAULTS="publish.after_commit=stop")
    wait_until(lambda: stopped(process.pid))
    unusable = WarehouseFactory.create(password="$NOT_THERE")
    HookFactory.create(module=orders, connection=unusable)
    process.send_signal(signal.SIGTERM)
    resume_when_stopped(process.pid)
    process.communicate(timeout=120)
    run = Run.objects.get()
    assert (run.status, run.inserted, run.error) == ("success", 2, None)
    assert "too late" in run.warnings[-1]


@pytest.mark.matrix
def test_a_killed_run_is_finalized_without_the_secrets_of_other_connections(orders: Module) -> None:
    run = kill("publish.after_commit", "runmodule", "orders")
    HookFactory.create(module=orders, connection=WarehouseFactory.create(password="$NOT_THERE"))
    assert (finalized(run).status, run.inserted) == ("success", 2)
