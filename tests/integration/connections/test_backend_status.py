"""What a server says of a silent session of ours, asked over another connection."""

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

# a second of silence is much for a busy machine
pytestmark = pytest.mark.serial


@pytest.fixture
def session(database_url: str) -> Iterator[PostgresqlSession]:
    """One that bears a second of silence."""
    parameters = ConnectionParameters(
        kind="postgresql", url=database_url, name="warehouse", options={"no_progress_timeout": 1}
    )
    found = driver.connect(parameters)
    yield found
    found.close()


def running(session: PostgresqlSession, sql: str) -> Thread:
    def run() -> None:
        try:
            session.execute(sql)
        except PipekitError:
            # ended by the test
            return

    thread = Thread(target=run)
    thread.start()
    return thread


def waits(url: str, pid: int | None, event: str) -> bool:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT wait_event FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
    return found is not None and found[0] == event


def test_a_session_is_at_work_while_its_statement_runs(session: PostgresqlSession, database_url: str) -> None:
    assert not session.backend.is_busy()
    thread = running(session, "SELECT pg_sleep(60)")
    wait_until(lambda: waits(database_url, session.backend.pid, "PgSleep"))
    assert session.backend.is_busy()
    session.backend.terminate()
    thread.join()
    assert not session.backend.is_busy()


def test_a_session_that_waits_for_a_lock_is_not_at_work(session: PostgresqlSession, database_url: str) -> None:
    session.execute("CREATE TABLE t (n int)")
    with psycopg.connect(database_url) as holder:
        holder.execute("LOCK TABLE t")
        thread = running(session, "SELECT * FROM t")
        wait_until(lambda: waits(database_url, session.backend.pid, "relation"))
        assert not session.backend.is_busy()
        session.backend.terminate()
        thread.join()


def test_one_that_cannot_be_known_is_at_work_as_long_as_the_server_answers(session: PostgresqlSession) -> None:
    """A pooler tells the client another pid than the server's, and the next connection may lead to another server."""
    row = (session.backend.pid, session.backend.backend_start, session.backend.server_start)
    pooled = Backend.of(session.backend.settings, row, idle_timeout=1, reported_pid=0)
    elsewhere = replace(session.backend, server_start=session.backend.server_start + 1)
    gone = replace(session.backend, settings={**session.backend.settings, "host": "127.0.0.1", "port": "1"})
    assert [pooled.is_busy(), elsewhere.is_busy(), gone.is_busy()] == [True, True, False]
    for one in (pooled, elsewhere, gone):
        one.terminate()
    # nobody was ended by mistake
    assert session.fetch("SELECT 1") == [(1,)]


def test_a_stranger_with_the_same_pid_is_not_ended(session: PostgresqlSession) -> None:
    replace(session.backend, backend_start=session.backend.backend_start - 1).terminate()
    assert session.fetch("SELECT 1") == [(1,)]


def test_a_statement_that_works_is_waited_for(session: PostgresqlSession) -> None:
    began = time.monotonic()
    session.execute("SELECT pg_sleep(2.5)")
    assert time.monotonic() - began > 2


def test_a_statement_that_only_waits_is_given_up_and_ended(session: PostgresqlSession, database_url: str) -> None:
    session.execute("CREATE TABLE t (n int)")
    with psycopg.connect(database_url) as holder:
        holder.execute("LOCK TABLE t")
        with pytest.raises(NoProgress, match="warehouse: The server sent nothing for 1 seconds") as caught:
            session.execute("SELECT * FROM t")
        assert caught.value.retryable
        wait_until(lambda: backends(database_url) == 1)


@pytest.mark.parametrize("sql", ["SELECT pg_sleep(60)", None], ids=["in a statement", "between two"])
def test_an_interrupt_ends_the_session_at_the_server(
    session: PostgresqlSession, database_url: str, sql: str | None
) -> None:
    """And leaves as an interrupt, whatever the rollback would say."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), session.transaction():
            session.execute("CREATE TABLE t (n int)")
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            session.execute(sql) if sql else time.sleep(60)
    finally:
        signal.signal(signal.SIGALRM, before)
    wait_until(lambda: not backends(database_url))


def test_a_backend_that_stands_still_is_ended_when_it_goes_on(session: PostgresqlSession, database_url: str) -> None:
    pid = session.backend.pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(NoProgress):
            session.execute("SELECT 1")
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not backends(database_url))
