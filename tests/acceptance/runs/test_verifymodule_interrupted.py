"""Tests of verifications that are cancelled or interrupted, or whose metadata database is locked."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection

from modules.models import Module
from runs.lifecycle import metadata_retry
from runs.models import Run, Verification
from runs.models.verification import VerificationStatus
from runs.verifications import record
from runs.verifications.record import finish_verification, progress_recorder
from tests.factories import ModuleFactory
from tests.harness.bench import Bench
from tests.integration.runs.test_recording import locked
from tests.processes.commands import resume_when_stopped, start, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
Save = Callable[..., Module]


@pytest.fixture
def orders(bench: Bench, save_module: Save) -> Bench:
    """Save three modules of two rows each; one row of `orders` is missing."""
    bench.at_source("CREATE TABLE s (id INTEGER, name TEXT)", "INSERT INTO s VALUES (1, 'one'), (2, 'two')")
    bench.at_destination("CREATE SCHEMA sync")
    for name in ("orders", "second", "third"):
        query = "SELECT id AS id, name AS name FROM s"
        save_module(name, query, merge_strategy="upsert", merge_key="id")
        bench.at_destination(f"CREATE TABLE sync.{name} AS SELECT 1 AS id, 'one'::text AS name")
        if name != "orders":
            bench.at_destination(f"INSERT INTO sync.{name} VALUES (2, 'two')")
    return bench


def start_sleeping(point: str, log: Path, *words: str) -> subprocess.Popen[str]:
    """Start a command that sleeps for a minute at the fault point, and return its process when it sleeps."""
    process = start(*words, PIPEKIT_FAULTS=f"{point}=sleep:60", PIPEKIT_FAULT_LOG=str(log))
    wait_until(lambda: log.exists() and f"{point.split('#')[0]} sleep" in log.read_text())
    return process


def code_of(process: subprocess.Popen[str]) -> int:
    """Wait for the process, which must print no traceback, and return its exit code."""
    _, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    return process.returncode


@pytest.mark.matrix
def test_a_verification_that_is_cancelled_after_its_repair_keeps_the_counts(orders: Bench, tmp_path: Path) -> None:
    process = start_sleeping("verification.repaired", tmp_path / "log", "verifymodule", "orders", "--repair")
    row = Verification.objects.get()
    assert row.request_cancel()
    assert code_of(process) == 130
    row.refresh_from_db()
    assert row.error is not None
    assert row.repaired is not None
    assert (row.status, row.error["code"], row.missing, row.repaired["inserted"]) == ("different", "cancelled", 1, 1)
    assert not row.is_repaired


@pytest.mark.matrix
def test_a_verification_that_is_cancelled_while_its_repair_run_ends_is_cancelled(orders: Bench, tmp_path: Path) -> None:
    log = tmp_path / "log"
    faults = {"PIPEKIT_FAULTS": "record.ended=sleep:4", "PIPEKIT_FAULT_LOG": str(log)}
    process = start("verifymodule", "orders", "--repair", **faults)
    wait_until(lambda: log.exists() and "record.ended sleep" in log.read_text())
    assert Verification.objects.get().request_cancel()
    assert code_of(process) == 130
    assert Run.objects.get().status == "success"


@pytest.mark.matrix
def test_a_signal_between_claim_and_repair_also_cancels_the_run(orders: Bench, tmp_path: Path) -> None:
    log = tmp_path / "log"
    faults = {"PIPEKIT_FAULTS": "verification.repairing=stop", "PIPEKIT_FAULT_LOG": str(log)}
    process = start("verifymodule", "orders", "--repair", **faults)
    wait_until(lambda: log.exists() and "verification.repairing stop" in log.read_text())
    process.send_signal(signal.SIGTERM)
    resume_when_stopped(process.pid)
    assert code_of(process) == 130
    row = Verification.objects.get()
    assert row.error is not None
    assert (row.status, row.error["code"], row.missing) == ("different", "cancelled", 1)
    assert Run.objects.get().status == "cancelled"
    assert orders.rows("SELECT count(*) FROM sync.orders") == [(1,)]


def queued(*names: str) -> list[Verification]:
    """Create verifications of these modules."""
    modules = [Module.objects.get(name=name) for name in names]
    return [Verification.objects.create(module=module, module_name=module.name) for module in modules]


def results_of(rows: list[Verification]) -> list[tuple[str, str]]:
    """Return status and error code of each verification."""
    for row in rows:
        row.refresh_from_db()
    return [(row.status, (row.error or {}).get("code", "")) for row in rows]


@pytest.mark.matrix
def test_a_signal_cancels_all_remaining_verifications_of_a_process(orders: Bench, tmp_path: Path) -> None:
    rows = queued("second", "orders", "third")
    words = ["carryout", "--verification", *(str(row.pk) for row in rows)]
    process = start_sleeping("verification.compared#2", tmp_path / "log", *words)
    process.send_signal(signal.SIGTERM)
    assert code_of(process) == 130
    assert results_of(rows) == [("equal", ""), ("different", "cancelled"), ("error", "cancelled")]


@pytest.mark.matrix
def test_only_the_cancelled_ones_of_several_verifications_are_cancelled(orders: Bench, tmp_path: Path) -> None:
    rows = queued("second", "third", "orders")
    words = ["carryout", "--verification", *(str(row.pk) for row in rows)]
    process = start_sleeping("verification.compared#1", tmp_path / "log", *words)
    assert rows[0].request_cancel()
    assert rows[1].request_cancel()
    assert code_of(process) == 130
    assert results_of(rows) == [("error", "cancelled"), ("error", "cancelled"), ("different", "")]


@pytest.mark.matrix
def test_a_verification_that_another_process_finalizes_does_not_prevent_the_next(orders: Bench, tmp_path: Path) -> None:
    rows = queued("second", "third")
    words = ["carryout", "--verification", *(str(row.pk) for row in rows)]
    process = start_sleeping("verification.compared#1", tmp_path / "log", *words)
    rows[0].finish_error({"code": "lost", "message": "", "hint": "", "detail": ""})
    code_of(process)
    assert results_of(rows) == [("error", "lost"), ("equal", "")]


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for locks of the metadata database."""
    monkeypatch.setattr(metadata_retry, "_FINISH_TIMEOUT", 0.0)
    monkeypatch.setattr(record, "_PROGRESS_SECONDS", 0.0)
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.1)
    connection.close()


@pytest.mark.sqlite_metadata
def test_a_locked_metadata_database_does_not_change_the_result_of_a_verification(short_timeouts: None) -> None:
    module = ModuleFactory.create()
    row = Verification.objects.create(module=module, module_name=module.name, status=VerificationStatus.RUNNING)
    messages: list[str] = []
    with locked():
        progress_recorder(row)(5)
        finish_verification(row, VerificationStatus.DIFFERENT, messages.append, missing=3)
    assert (row.status, row.missing) == ("different", 3)
    assert "could not be written" in messages[-1]


@pytest.mark.sqlite_metadata
def test_progress_is_not_written_for_each_row(django_assert_num_queries: Callable[..., object]) -> None:
    module = ModuleFactory.create()
    row = Verification.objects.create(module=module, module_name=module.name, status=VerificationStatus.RUNNING)
    on_progress = progress_recorder(row)
    with django_assert_num_queries(0):  # type: ignore[attr-defined]
        for rows in range(100):
            on_progress(rows)


@pytest.mark.matrix
def test_a_verification_that_was_cancelled_before_its_start_is_not_executed() -> None:
    module = ModuleFactory.create()
    row = Verification.objects.create(module=module, module_name=module.name, cancel_requested=True)
    process = start("carryout", "--verification", str(row.pk))
    assert code_of(process) == 130
    assert results_of([row]) == [("error", "cancelled")]
