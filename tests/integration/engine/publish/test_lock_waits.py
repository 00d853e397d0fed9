"""Lock waits are reported while they last, with the lock and its holder."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import psycopg
import pytest

from connections import registry
from connections.connectors.duckdb import driver as duckdb_driver
from connections.connectors.sqlite import busy_wait
from connections.sdk import lock_wait_reports
from connections.sdk.errors import ConnectionFailed, LockTimeout
from runs.engine.plan import Strategy
from tests.harness.bench import Bench
from tests.harness.matrix import first_by_default

pytestmark = pytest.mark.usefixtures("transfer_in_process")


@pytest.fixture(autouse=True)
def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Return the list of reports, of which the first comes after 0.3 seconds."""
    monkeypatch.setattr(lock_wait_reports, "FIRST", 0.3)
    messages: list[str] = []
    with lock_wait_reports.reported_to(messages.append):
        yield messages


@contextmanager
def release_when_reported(reports: list[str], release: Callable[[], object]) -> Iterator[None]:
    """Release a lock after the first report, or after two minutes, so that a failing test does not hang."""

    def wait() -> None:
        deadline = time.monotonic() + 120
        while not reports and time.monotonic() < deadline:
            time.sleep(0.05)
        release()

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@contextmanager
def locking_session(bench: Bench, sql: str) -> Iterator[psycopg.Connection]:
    """Open another program's session with a transaction that holds the locks of the statement."""
    with psycopg.connect(bench.destination.url, application_name="nightly report") as connection:
        connection.execute(sql.encode())
        yield connection


def timeout_error(reports: list[str], attempt: Callable[[float], object]) -> LockTimeout:
    """Return the timeout error of an attempt, with a lock timeout that is long enough for a report on this machine."""
    for seconds in (1, 8, 60):
        with pytest.raises(LockTimeout) as caught:
            attempt(seconds)
        if reports:
            return caught.value
    raise AssertionError("no report was made")


def _session_name(other: psycopg.Connection) -> str:
    return f"process {other.info.backend_pid} (nightly report, user"


def _loaded(bench: Bench) -> Bench:
    bench.at_source("CREATE TABLE s (k bigint, v text)", "INSERT INTO s VALUES (1, 'a')")
    bench.run(bench.plan("SELECT k, v FROM s", strategy=Strategy.UPSERT, merge_key=("k",)))
    return bench


@pytest.mark.parametrize(
    ("sql", "lock"),
    first_by_default(
        [
            ("LOCK TABLE sync.t IN ACCESS EXCLUSIVE MODE", "a lock on sync.t (RowExclusiveLock)"),
            ("UPDATE sync.t SET v = 'secret-value'", "rows that another transaction has changed or locked"),
        ]
    ),
)
def test_a_run_that_waits_for_another_session_reports_the_lock_and_its_holder(
    bench: Bench, reports: list[str], sql: str, lock: str
) -> None:
    _loaded(bench)
    with locking_session(bench, sql) as other, release_when_reported(reports, other.rollback):
        name = _session_name(other)
        bench.run(bench.plan("SELECT k, v FROM s", strategy=Strategy.UPSERT, merge_key=("k",)))
    assert len(reports) == 1
    assert reports[0].startswith(f"waiting for {lock}, held by {name}")
    assert "idle in transaction, transaction open since 20" in reports[0]
    assert f"statement: {sql.partition(chr(39))[0].strip()}" in reports[0]
    assert "secret-value" not in reports[0]


def test_a_lock_timeout_names_the_holder_in_the_error(bench: Bench, reports: list[str]) -> None:
    _loaded(bench)
    with locking_session(bench, "LOCK TABLE sync.t IN ACCESS EXCLUSIVE MODE") as other:
        name = _session_name(other)
        error = timeout_error(
            reports, lambda seconds: bench.run(bench.plan("SELECT k, v FROM s", lock_timeout=seconds))
        )
    assert len(reports) >= 1
    assert name in error.message
    assert "While it waited: waiting for a lock on sync.t" in error.detail
    assert name in error.detail


def test_a_lock_timeout_of_a_resolver_s_query_names_the_holder_in_the_error(bench: Bench, reports: list[str]) -> None:
    bench.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.t (k bigint)")

    def attempt(seconds: float) -> None:
        options = {**bench.destination.options, "session": {"lock_timeout": f"{seconds}s"}}
        with closing(registry.connector("postgresql").connect(replace(bench.destination, options=options))) as session:
            session.fetch_read_only("SELECT max(k) FROM sync.t")

    with locking_session(bench, "LOCK TABLE sync.t IN ACCESS EXCLUSIVE MODE") as other:
        name = _session_name(other)
        error = timeout_error(reports, attempt)
    assert "While it waited: waiting for a lock on sync.t" in error.detail
    assert name in error.detail


def test_a_slow_statement_that_waits_for_no_lock_is_not_reported(bench: Bench, reports: list[str]) -> None:
    session = registry.connector("postgresql").connect(bench.destination)
    session.fetch("SELECT pg_sleep(1.5)")
    session.close()
    assert reports == []


HOLD = {
    "sqlite": "import sqlite3; c = sqlite3.connect(FILE, isolation_level=None); c.execute('BEGIN IMMEDIATE')",
    "duckdb": "import duckdb; c = duckdb.connect(FILE)",
    "reader": "import sqlite3; c = sqlite3.connect(FILE); c.execute('BEGIN'); "
    "c.execute('SELECT * FROM sqlite_master').fetchall()",
}


@contextmanager
def other_process(how: str, path: str) -> Iterator[subprocess.Popen[str]]:
    """Hold the file in another process until its input is closed."""
    code = HOLD[how].replace("FILE", repr(path)) + "; print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(("kind", "activity"), [("sqlite", "is writing to it"), ("duckdb", "has it open")])
def test_a_run_that_waits_for_a_file_reports_the_process_that_has_it(
    bench_to: Callable[[str], Bench], reports: list[str], kind: str, activity: str
) -> None:
    bench = _loaded(bench_to(kind))
    path = bench.destination.url.removeprefix(f"jdbc:{kind}:")
    with other_process(kind, path) as child, release_when_reported(reports, child.kill):
        bench.run(bench.plan("SELECT k, v FROM s"))
    assert len(reports) == 1
    assert reports[0].startswith(f"waiting for {path}: process {child.pid} (python")
    assert activity in reports[0]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_file_that_stays_locked_fails_the_run_with_the_name_of_the_process(
    bench_to: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(busy_wait, "WAITS", 3.0)
    monkeypatch.setattr(duckdb_driver, "_LOCK_WAIT", 3.0)
    bench = _loaded(bench_to(kind))
    path = bench.destination.url.removeprefix(f"jdbc:{kind}:")
    with (
        other_process(kind, path) as child,
        pytest.raises((LockTimeout, ConnectionFailed), match=f"process {child.pid}"),
    ):
        bench.run(bench.plan("SELECT k, v FROM s"))


def test_a_commit_that_waits_for_a_reader_reports_the_process(
    bench_to: Callable[[str], Bench], reports: list[str]
) -> None:
    bench = _loaded(bench_to("sqlite"))
    path = bench.destination.url.removeprefix("jdbc:sqlite:")
    with other_process("reader", path) as child, release_when_reported(reports, child.kill):
        bench.at_destination("CREATE TABLE other (k int)")
    assert f"process {child.pid}" in reports[0]
    assert "is reading it" in reports[0]


@pytest.mark.matrix
def test_a_resolver_s_query_that_waits_for_a_file_reports_the_process_that_has_it(
    bench_to: Callable[[str], Bench], reports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(HOLD, "sqlite", HOLD["sqlite"].replace("IMMEDIATE", "EXCLUSIVE"))
    bench = bench_to("sqlite")
    bench.at_destination("CREATE TABLE t (k int)", "INSERT INTO t VALUES (7)")
    path = bench.destination.url.removeprefix("jdbc:sqlite:")
    with closing(registry.connector("sqlite").connect(bench.destination)) as session:
        with other_process("sqlite", path) as child, release_when_reported(reports, child.kill):
            assert session.fetch_read_only("SELECT max(k) FROM t") == (7,)
        assert f"process {child.pid}" in reports[0]
        monkeypatch.setattr(busy_wait, "WAITS", 0)
        with other_process("sqlite", path) as child, pytest.raises(LockTimeout, match=f"process {child.pid}"):
            session.fetch_read_only("SELECT max(k) FROM t")


def test_a_file_that_cannot_be_read_fails_the_run_with_the_name_of_the_process(
    bench_to: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy_wait, "WAITS", 3.0)
    monkeypatch.setitem(HOLD, "sqlite", HOLD["sqlite"].replace("IMMEDIATE", "EXCLUSIVE"))
    bench = _loaded(bench_to("sqlite"))
    path = bench.destination.url.removeprefix("jdbc:sqlite:")
    with (
        other_process("sqlite", path) as child,
        pytest.raises(ConnectionFailed, match=f"process {child.pid}.* is writing to it"),
    ):
        bench.run(bench.plan("SELECT k, v FROM s"))
