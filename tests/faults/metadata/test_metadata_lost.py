"""Metadata in PostgreSQL that becomes unavailable during runs: they continue, and are recorded when it is back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from connections import embedded_postgresql
from tests.harness.bench import Bench
from tests.processes.commands import stopped, wait_until
from tests.processes.install import Install

NewDatabase = Callable[[], str]


@pytest.fixture
def install(new_metadata: NewDatabase, bench: Bench, tmp_path: Path) -> Install:
    """An install with metadata in PostgreSQL and one module, `orders`, of two rows."""
    return configure(Install(tmp_path, new_metadata()), bench)


def configure(install: Install, bench: Bench) -> Install:
    bench.at_source("CREATE TABLE SOURCE (A INTEGER)", "INSERT INTO SOURCE VALUES (1), (2)")
    install.configure(bench, "orders")
    return install


@contextmanager
def stopped_at(point: str, process: subprocess.Popen[str], log: Path) -> Iterator[None]:
    """Wait until the run has stopped itself at the point, and resume it at the end of the block."""
    wait_until(lambda: log.exists() and f"{point} stop" in log.read_text())
    wait_until(lambda: stopped(process.pid))
    yield
    os.kill(process.pid, signal.SIGCONT)


def start_with_stop(install: Install, point: str, *command: str) -> tuple[subprocess.Popen[str], Path]:
    """Start the command so that it stops itself at the point; return its process and the log of its points."""
    log = install.data_dir / "faults"
    faults = {"PIPEKIT_FAULTS": f"{point}=stop", "PIPEKIT_FAULT_LOG": str(log)}
    return install.start(*command, **faults), log


@pytest.mark.matrix
@pytest.mark.parametrize("point", ["transfer.started", "publish.before_commit", "publish.after_commit"])
def test_a_run_whose_metadata_connections_are_terminated_continues_and_is_recorded(
    install: Install, bench: Bench, point: str
) -> None:
    process, log = start_with_stop(install, point, "runmodule", "orders", "--json")
    with stopped_at(point, process, log):
        # those of the run and of its heartbeat
        terminated = install.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'pipekit'"
        )
    out, err = process.communicate(timeout=180)
    assert terminated and all(success for (success,) in terminated)
    assert process.returncode == 0, err
    assert bench.rows("SELECT a FROM sync.orders ORDER BY a") == [(1,), (2,)]
    assert install.rows("SELECT status, inserted, error IS NULL FROM run_log") == [("success", 2, True)]


@pytest.fixture
def server() -> Iterator[Path]:
    """The directory of a PostgreSQL server for metadata only."""
    directory = Path(tempfile.mkdtemp(prefix="pk-"))
    directory.chmod(0o755)
    try:
        yield directory / "pg"
    finally:
        embedded_postgresql.stop(directory / "pg")
        shutil.rmtree(directory, ignore_errors=True)


def install_on(server: Path, data_dir: Path, bench: Bench) -> Install:
    """Return an install with its metadata on the server and the module `orders`."""
    url = embedded_postgresql.ensure_running(server)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE meta")
    return configure(Install(data_dir, urlunsplit(urlsplit(url)._replace(path="/meta"))), bench)


@pytest.mark.matrix
def test_a_run_continues_during_a_restart_of_the_metadata_server_and_is_recorded(
    server: Path, bench: Bench, tmp_path: Path
) -> None:
    install = install_on(server, tmp_path, bench)
    process, log = start_with_stop(install, "publish.begun", "runmodule", "orders", "--json")
    run_log = tmp_path / "logs/runs/1.log"
    with stopped_at("publish.begun", process, log):
        embedded_postgresql.stop(server)
    wait_until(lambda: "retrying" in run_log.read_text())
    # published before that can be recorded
    assert bench.rows("SELECT a FROM sync.orders ORDER BY a") == [(1,), (2,)]
    embedded_postgresql.ensure_running(server)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert install.rows("SELECT status, inserted FROM run_log") == [("success", 2)]


# the result of a run is spooled at once if the metadata is unavailable
NO_TIMEOUT = (
    "import runs.lifecycle.metadata_retry as r; r._FINISH_TIMEOUT = 0; "
    "from django.core.management import call_command as c; "
)


@pytest.mark.matrix
def test_a_result_is_spooled_while_the_metadata_is_unavailable_and_imported_by_the_next_tick(
    server: Path, bench: Bench, tmp_path: Path
) -> None:
    install = install_on(server, tmp_path, bench)
    program = f"{NO_TIMEOUT}c('runmodule', 'orders')"
    process, log = start_with_stop(install, "publish.begun", "shell", "--no-imports", "-c", program)
    with stopped_at("publish.begun", process, log):
        embedded_postgresql.stop(server)
    out, err = process.communicate(timeout=180)
    spooled = list((tmp_path / "spool").glob("*.json"))
    assert len(spooled) == 1, err
    embedded_postgresql.ensure_running(server)
    assert install.rows("SELECT status FROM run_log") == [("running",)]
    tick = install.manage("tick")
    assert tick.code == 0, tick.err
    assert install.rows("SELECT status, inserted FROM run_log") == [("success", 2)]
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.matrix
def test_a_launched_run_waits_for_metadata_that_is_restarting(server: Path, bench: Bench, tmp_path: Path) -> None:
    install = install_on(server, tmp_path, bench)
    queue_run = (
        "from runs.lifecycle import insert; from modules.models import Module; "
        "insert.queue_run(Module.objects.get(), insert.RunRequest())"
    )
    assert install.manage("shell", "--no-imports", "-c", queue_run).code == 0
    embedded_postgresql.stop(server)
    process = install.start("carryout", "--run", "1")
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=8)
    embedded_postgresql.ensure_running(server)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert install.rows("SELECT status, inserted FROM run_log") == [("success", 2)]


@pytest.mark.matrix
def test_25_modules_of_a_parallel_group_run_once_each(server: Path, bench: Bench, tmp_path: Path) -> None:
    # the metadata on a server of its own: 25 runs need more connections than one server allows by default
    install = install_on(server, tmp_path, bench)
    names = [f"m{number}" for number in range(25)]
    members = ", ".join(f"{{module: {name}}}" for name in names)
    install.configure(bench, *names, extra=f"groups: {{all: {{max_parallel: 25, members: [{members}]}}}}")
    result = install.manage("rungroup", "all", "--json")
    assert result.code == 0, result.out
    assert {run["status"] for run in result.json["runs"]} == {"success"}
    assert sorted(run["module"] for run in result.json["runs"]) == sorted(names)
    assert install.rows("SELECT count(*), count(DISTINCT module_id), sum(inserted) FROM run_log") == [(25, 25, 50)]
    logs = [file.read_text() for file in (install.data_dir / "logs/runs").glob("*.log")]
    assert len(logs) == 25
    assert not [text for text in logs if "could not be written" in text or "Traceback" in text]


@pytest.mark.matrix
def test_simultaneous_runs_of_a_module_do_not_overlap(install: Install) -> None:
    processes = [install.start("runmodule", "orders", "--json") for _ in range(4)]
    outputs = [process.communicate(timeout=180) for process in processes]
    codes = sorted(process.returncode for process in processes)
    assert set(codes) <= {0, 4}, outputs
    succeeded = install.rows("SELECT count(*) FROM run_log WHERE status = 'success'")
    assert succeeded == [(codes.count(0),)]
    overlapping = install.rows(
        "SELECT count(*) FROM run_log a JOIN run_log b ON a.id < b.id"
        " AND a.started_at < b.finished_at AND b.started_at < a.finished_at"
    )
    assert overlapping == [(0,)]
