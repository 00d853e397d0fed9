"""Recording of runs while the metadata is locked: the run waits, or its result is spooled and imported later."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import connection

from connections.sdk.errors import Lost
from modules.models import Module
from runs.engine.events import (
    AttemptFailed,
    MergeSqlBuilt,
    Published,
    Reconciled,
    SourceQueryBuilt,
    StepStarted,
    Unconfirmed,
    Warned,
    WatermarkResolved,
)
from runs.lifecycle import metadata_retry, spool
from runs.lifecycle.reap import reap_all
from runs.lifecycle.record import Recorder
from runs.models import Run
from runs.models.states import Status
from tests.factories import RunFactory
from tests.harness.bench import Bench
from tests.processes.commands import resume_when_stopped, start, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def locked() -> Iterator[None]:
    """Hold the write lock of the metadata as another process's transaction would."""
    other = sqlite3.connect(settings.DATABASES["default"]["NAME"], isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@pytest.mark.matrix
@pytest.mark.sqlite_metadata
def test_a_run_waits_for_locked_metadata_and_succeeds(bench: Bench, save_module: Callable[..., Module]) -> None:
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1)")
    save_module("orders", "SELECT k FROM s")
    process = start("runmodule", "orders", "--json", PIPEKIT_FAULTS="transfer.finished=stop")
    wait_until(lambda: Run.objects.filter(staged=1).exists())
    with locked():
        resume_when_stopped(process.pid)
        # it publishes meanwhile and waits to record that
        time.sleep(4)
        assert process.poll() is None
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    run = Run.objects.get()
    assert (run.status, run.inserted) == ("success", 1)


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hardly wait for locks, and write the final state without retries."""
    monkeypatch.setattr(metadata_retry, "_FINISH_TIMEOUT", 0.0)
    # applies to new connections only
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.1)
    connection.close()
    yield
    connection.close()


@pytest.mark.sqlite_metadata
def test_a_result_that_cannot_be_written_is_spooled_and_imported_by_the_tick(short_timeouts: None) -> None:
    run = RunFactory.create(status="running", pid=1, log_path="runs/spooled.log")
    with locked():
        with Recorder(run) as recorder:
            recorder._row.set(inserted=3, published_at=None)
        assert run.status == "success"
        assert Run.objects.get().status == "running"
    assert "stored in" in run.log_file.read_text()
    assert reap_all() == 1
    stored = Run.objects.get()
    assert (stored.status, stored.inserted, stored.finished_at) == ("success", 3, run.finished_at)
    assert reap_all() == 0


def test_a_warning_that_a_retry_repeats_is_recorded_once() -> None:
    run = RunFactory.create(status="running", pid=1, log_path="runs/retried.log")
    with Recorder(run) as recorder:
        recorder.record(Warned("There is no watermark_column."))
        recorder.record(AttemptFailed(number=1, code="connection_lost", message="reset", wait=0.1, connecting=False))
        recorder.record(Warned("There is no watermark_column."))
        recorder.record(Warned("Another one."))
    stored = Run.objects.get()
    assert (stored.status, stored.warnings) == ("success", ["There is no watermark_column.", "Another one."])


def test_a_publish_that_a_retry_finds_in_the_commit_record_has_the_statements_of_the_attempt_that_executed_it() -> None:
    run = RunFactory.create(status="running", pid=1, log_path="runs/found.log")
    failed = AttemptFailed(number=1, code="connection_lost", message="reset", wait=0.1, connecting=False)
    with Recorder(run) as recorder:
        recorder.record(MergeSqlBuilt("INSERT 1;"))
        recorder.record(failed)
        recorder.record(Unconfirmed([MergeSqlBuilt("INSERT 2;"), Warned("A row is kept.")]))
        # the second time the destination cannot be asked
        for _ in range(2):
            recorder.record(failed)
            # what is recorded if the process dies here
            stored = Run.objects.get()
            assert (stored.merge_sql, stored.warnings) == ("INSERT 2;", ["A row is kept."])
        recorder.record(Published(inserted=1, updated=0, deleted=0, recovered=True))
        recorder.record(MergeSqlBuilt("DELETE;"))
    stored = Run.objects.get()
    assert (stored.merge_sql, stored.warnings) == ("INSERT 2;\n\nDELETE;", ["A row is kept."])


def test_a_transaction_that_was_not_committed_after_all_is_not_recorded() -> None:
    run = RunFactory.create(status="running", pid=1, log_path="runs/not-committed.log")
    failed = AttemptFailed(number=1, code="connection_lost", message="reset", wait=0.1, connecting=False)
    with Recorder(run) as recorder:
        create = MergeSqlBuilt("CREATE SCHEMA s;", is_committed=True)
        recorder.record(Unconfirmed([create, MergeSqlBuilt("INSERT 1;"), Warned("One row is kept.")]))
        recorder.record(failed)
        recorder.record(StepStarted("resolve"))
        recorder.record(MergeSqlBuilt("INSERT 2;"))
        recorder.record(Published(inserted=1, updated=0, deleted=0))
        recorder.record(Unconfirmed([Warned("Two rows are orphaned."), MergeSqlBuilt("DELETE 1;")]))
        recorder.record(failed)
        recorder.record(StepStarted("reconcile"))
        recorder.record(Warned("Three rows are orphaned."))
        recorder.record(MergeSqlBuilt("DELETE 2;"))
        recorder.record(Reconciled(1))
    stored = Run.objects.get()
    assert (stored.merge_sql, stored.warnings) == (
        "CREATE SCHEMA s;\n\nINSERT 2;\n\nDELETE 2;",
        ["Three rows are orphaned."],
    )


def test_a_publish_has_no_statements_that_were_rolled_back_before_it() -> None:
    run = RunFactory.create(status="running", pid=1, log_path="runs/again.log")
    with Recorder(run) as recorder:
        recorder.record(MergeSqlBuilt("CREATE SCHEMA s;", is_committed=True))
        recorder.record(MergeSqlBuilt("INSERT 1;"))
        recorder.record(AttemptFailed(number=1, code="connection_lost", message="reset", wait=0.1, connecting=False))
        recorder.record(MergeSqlBuilt("INSERT 2;"))
        recorder.record(Published(inserted=1, updated=0, deleted=0, recovered=True))
    assert Run.objects.get().merge_sql == "CREATE SCHEMA s;\n\nINSERT 2;"


def test_the_log_says_why_a_query_became_a_subquery_and_only_then() -> None:
    run = RunFactory.create(status="running", pid=1, log_path="runs/subquery.log")
    with Recorder(run) as recorder:
        recorder.record(SourceQueryBuilt("SELECT a FROM t WHERE a > 1"))
        assert "subquery" not in run.log_file.read_text()
        recorder.record(SourceQueryBuilt("SELECT * FROM (\nSELECT DISTINCT a FROM t\n) q WHERE a > 1", "DISTINCT"))
    (line,) = [line for line in run.log_file.read_text().splitlines() if "becomes a subquery" in line]
    assert line.endswith(" the query becomes a subquery, so that a condition can be added; reason: DISTINCT")


def test_the_log_says_that_a_watermark_has_no_value() -> None:
    run = RunFactory.create(status="running", pid=1, log_path="runs/watermarks.log")
    with Recorder(run) as recorder:
        recorder.record(WatermarkResolved("day", None))
        recorder.record(WatermarkResolved("since", "2026-01-01"))
    first, second = [line for line in run.log_file.read_text().splitlines() if "watermark" in line]
    assert first.endswith(" watermark day has no value, so it does not limit the query")
    assert second.endswith(" watermark since = '2026-01-01'")


def test_a_spooled_result_of_a_run_that_is_final_changes_nothing() -> None:
    run = RunFactory.create(status="running", pid=1)
    spool.write(run, Status.SUCCESS, {"inserted": 3})
    run.finish_error(Lost("gone").as_dict())
    assert spool.import_files() == 0
    assert Run.objects.get().status == "error"


@pytest.mark.matrix
def test_25_runs_record_concurrently_without_errors() -> None:
    runs = [RunFactory.create(status="running", pid=1, log_path=f"runs/at-once-{n}.log") for n in range(25)]
    errors: list[BaseException] = []

    def execute(run: Run) -> None:
        try:
            with Recorder(run) as recorder:
                for _ in range(5):
                    recorder._row.set(read=1)
                    recorder._row.write()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=execute, args=[run]) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert not any("could not be written" in run.log_file.read_text() for run in runs)
    assert Run.objects.filter(status="success").count() == 25
