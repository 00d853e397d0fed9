"""Verifications that are stopped, or whose metadata fails them, in processes of their own."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection

from modules.models import Module
from runs.models import Run, Verification
from runs.models.verification import VerificationStatus
from runs.verifications import record
from tests.benches.bench import Bench
from tests.factories import ModuleFactory
from tests.integration.runs.test_recording import locked
from tests.processes.commands import go_on, start, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
Save = Callable[..., Module]


@pytest.fixture
def orders(bench: Bench, save_module: Save) -> Bench:
    """Three modules of two rows; of `orders` one row is missing."""
    bench.at_source("CREATE TABLE s (id INTEGER, name TEXT)", "INSERT INTO s VALUES (1, 'one'), (2, 'two')")
    bench.at_destination("CREATE SCHEMA sync")
    for name in ("orders", "second", "third"):
        query = "SELECT id AS id, name AS name FROM s"
        save_module(name, query, merge_strategy="upsert", merge_key="id")
        bench.at_destination(f"CREATE TABLE sync.{name} AS SELECT 1 AS id, 'one'::text AS name")
        if name != "orders":
            bench.at_destination(f"INSERT INTO sync.{name} VALUES (2, 'two')")
    return bench


def stopped_at(point: str, log: Path, *words: str) -> subprocess.Popen[str]:
    """Start a command that sleeps for a minute at the point, and return it when it does."""
    process = start(*words, PIPEKIT_FAULTS=f"{point}=sleep:60", PIPEKIT_FAULT_LOG=str(log))
    wait_until(lambda: log.exists() and f"{point.split('#')[0]} sleep" in log.read_text())
    return process


def code_of(process: subprocess.Popen[str]) -> int:
    _, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    return process.returncode


@pytest.mark.matrix
def test_a_verification_can_be_cancelled_after_its_repair(orders: Bench, tmp_path: Path) -> None:
    process = stopped_at("verification.repaired", tmp_path / "log", "verifymodule", "orders", "--repair")
    row = Verification.objects.get()
    assert row.request_cancel()
    assert code_of(process) == 130
    row.refresh_from_db()
    assert row.error is not None
    assert row.repaired is not None
    assert (row.status, row.error["code"], row.missing, row.repaired["inserted"]) == ("different", "cancelled", 1, 1)
    assert not row.is_repaired


@pytest.mark.matrix
def test_a_cancel_while_the_repair_ends_still_ends_the_verification(orders: Bench, tmp_path: Path) -> None:
    log = tmp_path / "log"
    faults = {"PIPEKIT_FAULTS": "record.ended=sleep:4", "PIPEKIT_FAULT_LOG": str(log)}
    process = start("verifymodule", "orders", "--repair", **faults)
    wait_until(lambda: log.exists() and "record.ended sleep" in log.read_text())
    assert Verification.objects.get().request_cancel()
    assert code_of(process) == 130
    assert Run.objects.get().status == "success"


@pytest.mark.matrix
def test_an_interrupt_between_claim_and_run_leaves_no_run_that_seems_to_go_on(orders: Bench, tmp_path: Path) -> None:
    log = tmp_path / "log"
    faults = {"PIPEKIT_FAULTS": "verification.repairing=stop", "PIPEKIT_FAULT_LOG": str(log)}
    process = start("verifymodule", "orders", "--repair", **faults)
    wait_until(lambda: log.exists() and "verification.repairing stop" in log.read_text())
    process.send_signal(signal.SIGTERM)
    go_on(process.pid)
    assert code_of(process) == 130
    row = Verification.objects.get()
    assert row.error is not None
    assert (row.status, row.error["code"], row.missing) == ("different", "cancelled", 1)
    assert Run.objects.get().status == "cancelled"
    assert orders.rows("SELECT count(*) FROM sync.orders") == [(1,)]


def queued(*names: str) -> list[Verification]:
    modules = [Module.objects.get(name=name) for name in names]
    return [Verification.objects.create(module=module, module_name=module.name) for module in modules]


def ends(rows: list[Verification]) -> list[tuple[str, str]]:
    for row in rows:
        row.refresh_from_db()
    return [(row.status, (row.error or {}).get("code", "")) for row in rows]


@pytest.mark.matrix
def test_a_signal_to_the_process_of_several_ends_all_of_them(orders: Bench, tmp_path: Path) -> None:
    rows = queued("second", "orders", "third")
    words = ["carryout", "--verification", *(str(row.pk) for row in rows)]
    process = stopped_at("verification.compared#2", tmp_path / "log", *words)
    process.send_signal(signal.SIGTERM)
    assert code_of(process) == 130
    assert ends(rows) == [("equal", ""), ("different", "cancelled"), ("error", "cancelled")]


@pytest.mark.matrix
def test_a_cancel_of_one_of_several_ends_only_that_one(orders: Bench, tmp_path: Path) -> None:
    rows = queued("second", "third", "orders")
    words = ["carryout", "--verification", *(str(row.pk) for row in rows)]
    process = stopped_at("verification.compared#1", tmp_path / "log", *words)
    assert rows[0].request_cancel()
    assert rows[1].request_cancel()
    assert code_of(process) == 130
    assert ends(rows) == [("error", "cancelled"), ("error", "cancelled"), ("different", "")]


@pytest.mark.matrix
def test_one_that_somebody_else_has_settled_keeps_no_other_from_being_carried_out(
    orders: Bench, tmp_path: Path
) -> None:
    rows = queued("second", "third")
    words = ["carryout", "--verification", *(str(row.pk) for row in rows)]
    process = stopped_at("verification.compared#1", tmp_path / "log", *words)
    rows[0].finish_error({"code": "lost", "message": "", "hint": "", "detail": ""})
    code_of(process)
    assert ends(rows) == [("error", "lost"), ("equal", "")]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for locks, no patience at the end."""
    monkeypatch.setattr(record, "_FINISH_TIMEOUT", 0.0)
    monkeypatch.setattr(record, "_PROGRESS_SECONDS", 0.0)
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.1)
    connection.close()


@pytest.mark.sqlite_metadata
def test_metadata_that_is_busy_takes_nothing_from_what_was_found(impatient: None) -> None:
    module = ModuleFactory.create()
    row = Verification.objects.create(module=module, module_name=module.name, status=VerificationStatus.RUNNING)
    said: list[str] = []
    with locked():
        record.progress(row)(5)
        record.finish(row, VerificationStatus.DIFFERENT, said.append, missing=3)
    assert (row.status, row.missing) == ("different", 3)
    assert "could not be written" in said[-1]


@pytest.mark.sqlite_metadata
def test_progress_is_written_now_and_then(django_assert_num_queries: Callable[..., object]) -> None:
    module = ModuleFactory.create()
    row = Verification.objects.create(module=module, module_name=module.name, status=VerificationStatus.RUNNING)
    note = record.progress(row)
    with django_assert_num_queries(0):  # type: ignore[attr-defined]
        for rows in range(100):
            note(rows)


@pytest.mark.matrix
def test_one_that_was_cancelled_before_it_began_does_not_begin() -> None:
    module = ModuleFactory.create()
    row = Verification.objects.create(module=module, module_name=module.name, cancel_requested=True)
    process = start("carryout", "--verification", str(row.pk))
    assert code_of(process) == 130
    assert ends([row]) == [("error", "cancelled")]
