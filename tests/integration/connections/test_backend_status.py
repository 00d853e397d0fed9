"""The status of a silent PostgreSQL session, as another connection to the server sees it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from threading import Thread

import psycopg
import pytest

from connections.connectors.postgresql import driver
from connections.connectors.postgresql.driver import PostgresqlSession
from connections.connectors.postgresql.session.backend_status import Backend
from connections.sdk.errors import NoProgress, PipekitError
from connections.sdk.parameters import ConnectionParameters
from tests.processes.commands import backends, wait_until

# they run alone, because on a busy machine a second without traffic is possible
pytestmark = pytest.mark.serial


@pytest.fixture
def session(database_url: str) -> Iterator[PostgresqlSession]:
    """A session with an idle timeout of one second."""
    parameters = ConnectionParameters(
        kind="postgresql", url=database_url, name="warehouse", options={"no_progress_timeout": 1}
    )
    session = driver.connect(parameters)
    yield session
    session.close()


def execute_in_thread(session: PostgresqlSession, sql: str) -> Thread:
    def run() -> None:
        try:
            session.execute(sql)
        except PipekitError:
            # the test terminates the session
            return

    thread = Thread(target=run)
    thread.start()
    return thread


def is_waiting(url: str, pid: int | None, event: str) -> bool:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT wait_event FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
    return row is not None and row[0] == event


def test_a_session_is_busy_while_its_statement_runs(session: PostgresqlSession, database_url: str) -> None:
    assert not session.backend.is_busy()
    thread = execute_in_thread(session, "SELECT pg_sleep(60)")
    wait_until(lambda: is_waiting(database_url, session.backend.pid, "PgSleep"))
    assert session.backend.is_busy()
    session.backend.terminate()
    thread.join()
    assert not session.backend.is_busy()


def test_a_session_that_waits_for_a_lock_is_not_busy(session: PostgresqlSession, database_url: str) -> None:
    session.execute("CREATE TABLE t (n int)")
    with psycopg.connect(database_url) as holder:
        holder.execute("LOCK TABLE t")
        thread = execute_in_thread(session, "SELECT * FROM t")
        wait_until(lambda: is_waiting(database_url, session.backend.pid, "relation"))
        assert not session.backend.is_busy()
        session.backend.terminate()
        thread.join()


def test_a_backend_of_unknown_status_is_busy_as_long_as_the_server_answers(session: PostgresqlSession) -> None:
    """A pooler reports another pid than the server's, and the next connection may lead to another server."""
    row = (session.backend.pid, session.backend.backend_start, session.backend.server_start)
    pooled = Backend.of(session.backend.settings, row, no_progress_timeout=1, reported_pid=0)
    other_server = replace(session.backend, server_start=session.backend.server_start + 1)
    unreachable = replace(session.backend, settings={**session.backend.settings, "host": "127.0.0.1", "port": "1"})
    assert [pooled.is_busy(), other_server.is_busy(), unreachable.is_busy()] == [True, True, False]
    for backend in (pooled, other_server, unreachable):
        backend.terminate()
    # no other session was terminated by mistake
    assert session.fetch("SELECT 1") == [(1,)]


def test_another_session_that_reuses_the_pid_is_not_terminated(session: PostgresqlSession) -> None:
    replace(session.backend, backend_start=session.backend.backend_start - 1).terminate()
    assert session.fetch("SELECT 1") == [(1,)]


def test_a_running_statement_may_exceed_the_no_progress_timeout(session: PostgresqlSession) -> None:
    start = time.monotonic()
    session.execute("SELECT pg_sleep(2.5)")
    assert time.monotonic() - start > 2


def test_a_statement_that_waits_for_a_lock_times_out_and_is_terminated(
    session: PostgresqlSession, database_url: str
) -> None:
    session.execute("CREATE TABLE t (n int)")
    with psycopg.connect(database_url) as holder:
        holder.execute("LOCK TABLE t")
        with pytest.raises(NoProgress, match="warehouse: The server sent nothing for 1 seconds") as caught:
            session.execute("SELECT * FROM t")
        assert caught.value.retryable
        wait_until(lambda: backends(database_url) == 1)


@pytest.mark.parametrize("sql", ["SELECT pg_sleep(60)", None], ids=["in a statement", "between statements"])
def test_an_interrupt_terminates_the_session_at_the_server(
    session: PostgresqlSession, database_url: str, sql: str | None
) -> None:
    """KeyboardInterrupt is raised even if the rollback fails."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), session.transaction():
            session.execute("CREATE TABLE t (n int)")
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            session.execute(sql) if sql else time.sleep(60)
    finally:
        signal.signal(signal.SIGALRM, before)
    wait_until(lambda: not backends(database_url))


def test_a_stopped_backend_is_terminated_as_soon_as_it_continues(session: PostgresqlSession, database_url: str) -> None:
    pid = session.backend.pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(NoProgress):
            session.execute("SELECT 1")
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not backends(database_url))
