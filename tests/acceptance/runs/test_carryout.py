"""`carryout` starts its run, group run or verification although the metadata database is briefly unavailable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models import Model

from connections.management.exit_codes import ExitCode
from modules.models import Group, Module
from runs.lifecycle.insert import RunRequest, queue_group_run, queue_run
from runs.models import GroupRun, Run, Verification
from runs.models.execution import Execution
from runs.models.transitions import IllegalTransition
from runs.process import identity
from runs.verifications.insert import VerificationRequest, queue_verification
from tests.factories import GroupRunFactory, RunFactory
from tests.harness.bench import Bench
from tests.processes.commands import call

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transfer_in_process")]


@pytest.fixture
def orders(bench: Bench, save_module: Callable[..., Module]) -> Module:
    bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'one'), (2, 'two')")
    return save_module("orders", "SELECT k, v FROM s", merge_strategy="upsert", merge_key="k")


@pytest.fixture(params=["before", "after"])
def metadata_fail_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fail once when a row is started, before that or with the answer to it; return the calls."""
    calls: list[str] = []
    start = Execution.start

    def start_or_fail(row: Execution, **options: Any) -> None:
        calls.append(str(row))
        is_first = len(calls) == 1
        if is_first and request.param == "before":
            raise OperationalError("database is locked")
        start(row, **options)
        if is_first:
            raise OperationalError("the connection was lost")

    monkeypatch.setattr(Execution, "start", start_or_fail)
    return calls


def test_a_run_starts_in_spite_of_it(orders: Module, metadata_fail_once: list[str]) -> None:
    run = queue_run(orders, RunRequest())
    assert call("carryout", "--run", str(run.pk)).code == ExitCode.DONE
    assert (Run.objects.get().status, len(metadata_fail_once)) == ("success", 2)


def test_a_group_run_starts_in_spite_of_it(db: None, metadata_fail_once: list[str]) -> None:
    group_run = queue_group_run(Group.objects.create(name="nightly"), RunRequest())
    assert call("carryout", "--group-run", str(group_run.pk)).code == ExitCode.DONE
    assert (GroupRun.objects.get().status, len(metadata_fail_once)) == ("success", 2)


def test_a_verification_starts_in_spite_of_it(orders: Module, bench: Bench, metadata_fail_once: list[str]) -> None:
    bench.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.orders AS VALUES (1, 'one'), (2, 'two')")
    bench.at_destination("ALTER TABLE sync.orders RENAME column1 TO k", "ALTER TABLE sync.orders RENAME column2 TO v")
    row = queue_verification(orders, VerificationRequest())
    done = call("carryout", "--verification", str(row.pk))
    assert (Verification.objects.get().status, len(metadata_fail_once), done.code) == ("equal", 2, 0)


@pytest.mark.parametrize("missing", [Run, GroupRun])
def test_the_row_is_read_again_while_the_metadata_are_unavailable(
    orders: Module, monkeypatch: pytest.MonkeyPatch, missing: type[Model]
) -> None:
    row = queue_run(orders, RunRequest()) if missing is Run else queue_group_run(_group(), RunRequest())
    get, calls = type(missing._default_manager.all()).get, list[int]()

    def get_or_fail(rows: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise OperationalError("database is locked")
        return get(rows, *arguments, **options)

    monkeypatch.setattr(type(missing._default_manager.all()), "get", get_or_fail)
    option = "--run" if missing is Run else "--group-run"
    assert call("carryout", option, str(row.pk)).code == ExitCode.DONE


def _group() -> Group:
    return Group.objects.create(name="nightly")


@pytest.mark.parametrize("create", [RunFactory.create, GroupRunFactory.create])
def test_only_the_process_that_started_a_row_may_start_it_again(create: Callable[..., Execution]) -> None:
    row, here = create(), identity.current().as_fields()
    row.start(**here)
    row.start(**here)
    with pytest.raises(IllegalTransition, match="is running"):
        row.start(**{**here, "pid": here["pid"] + 1})
    row.finish_error({"code": "lost", "message": "Gone."})
    with pytest.raises(IllegalTransition, match="is error"):
        row.start(**here)
