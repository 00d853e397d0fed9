"""Metadata that is locked costs a run time, never its result; what cannot be written waits in the spool."""

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
from runs.lifecycle import record, spool
from runs.lifecycle.reap import reap_all
from runs.lifecycle.record import Recorder
from runs.models import Run
from runs.models.states import Status
from tests.benches.bench import Bench
from tests.factories import RunFactory
from tests.processes.commands import go_on, start, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def locked() -> Iterator[None]:
    """Another process's transaction that holds the metadata's write lock."""
    other = sqlite3.connect(settings.DATABASES["default"]["NAME"], isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@pytest.mark.matrix
@pytest.mark.sqlite_metadata
def test_a_run_goes_on_while_the_metadata_is_locked(bench: Bench, save_module: Callable[..., Module]) -> None:
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1)")
    save_module("orders", "SELECT k FROM s")
    running = start("runmodule", "orders", "--json", PIPEKIT_FAULTS="transfer.finished=stop")
    wait_until(lambda: Run.objects.filter(staged=1).exists())
    with locked():
        go_on(running.pid)
        # it publishes meanwhile, and waits to say so
        time.sleep(4)
        assert running.poll() is None
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    run = Run.objects.get()
    assert (run.status, run.inserted) == ("success", 1)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No waiting for locks, little patience at the end."""
    monkeypatch.setattr(record, "_FINISH_TIMEOUT", 0.0)
    # every new connection waits as long as it is told to
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.1)
    connection.close()
    yield
    connection.close()


@pytest.mark.sqlite_metadata
def test_a_result_that_cannot_be_written_is_spooled_and_taken_in_by_the_tick(impatient: None) -> None:
    run = RunFactory.create(status="running", pid=1, log_path="runs/spooled.log")
    with locked():
        with Recorder(run) as recorder:
            recorder._set(inserted=3, published_at=None)
        assert run.status == "success"
        assert Run.objects.get().status == "running"
    assert "stored in" in run.log_file.read_text()
    assert reap_all() == 1
    stored = Run.objects.get()
    assert (stored.status, stored.inserted, stored.finished_at) == ("success", 3, run.finished_at)
    assert reap_all() == 0


def test_what_is_spooled_for_a_run_that_is_over_changes_nothing() -> None:
    run = RunFactory.create(status="running", pid=1)
    spool.write(run, Status.SUCCESS, {"inserted": 3})
    run.finish_error(Lost("gone").as_dict())
    assert spool.import_files() == 0
    assert Run.objects.get().status == "error"


def test_25_runs_write_at_once_without_one_being_refused() -> None:
    runs = [RunFactory.create(status="running", pid=1, log_path=f"runs/at-once-{n}.log") for n in range(25)]
    failed: list[BaseException] = []

    def carry_out(run: Run) -> None:
        try:
            with Recorder(run) as recorder:
                for _ in range(5):
                    recorder._set(read=1)
                    recorder._write()
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=carry_out, args=[run]) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert not any("could not be written" in run.log_file.read_text() for run in runs)
    assert Run.objects.filter(status="success").count() == 25
