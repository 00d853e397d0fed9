"""Errors of a PostgreSQL server are classified by SQLSTATE, alike for psycopg, COPY and ADBC."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from connections.connectors.postgresql import driver
from connections.sdk import errors
from connections.sdk.errors import PipekitError
from connections.sdk.parameters import ConnectionParameters
from tests.harness.small_databases import System, job, postgresql, sqlite, transfer_rows
from tests.processes.commands import wait_until

# refuse() and the trigger on refusing raise an error with any SQLSTATE
_SETUP = """
CREATE TABLE numbers AS SELECT g AS a, repeat('x', 100) AS v FROM generate_series(1, 3000) g;
CREATE TABLE t (a integer);
CREATE TABLE refusing (a integer);
CREATE TABLE setting (state text);
CREATE FUNCTION refuse(state text) RETURNS integer LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'refused with %', state USING ERRCODE = state, DETAIL = 'its detail'; END $$;
CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM refuse((SELECT state FROM setting)); RETURN NEW; END $$;
CREATE TRIGGER refusing BEFORE INSERT ON refusing FOR EACH ROW EXECUTE FUNCTION refused();
CREATE FUNCTION writing() RETURNS integer LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO t VALUES (1); RETURN 1; END $$;
"""
Way = Callable[..., Any]


@pytest.fixture(scope="module")
def url(postgresql_server: str) -> Iterator[str]:
    with psycopg.connect(postgresql_server, autocommit=True) as server:
        server.execute("CREATE DATABASE failing")
        server.execute("CREATE ROLE stranger LOGIN")
    database = urlunsplit(urlsplit(postgresql_server)._replace(path="/failing"))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(_SETUP)
    yield database
    with psycopg.connect(postgresql_server, autocommit=True) as server:
        server.execute("DROP DATABASE failing WITH (FORCE)")
        server.execute("DROP ROLE stranger")


@pytest.mark.matrix
def test_the_error_names_a_missing_database_or_user(url: str) -> None:
    parameters = ConnectionParameters(kind="postgresql", url=urlunsplit(urlsplit(url)._replace(path="/nowhere")))
    with pytest.raises(errors.DatabaseMissing, match="has no database “nowhere”") as missing:
        driver.connect(parameters)
    assert "createdb" in missing.value.hint
    with pytest.raises(errors.AuthenticationFailed, match="has no user “nobody_at_all”") as unknown_user:
        driver.connect(ConnectionParameters(kind="postgresql", url=url, username="nobody_at_all"))
    assert "username" in unknown_user.value.hint


def with_psycopg(source: System, sql: str, path: Path) -> None:
    with closing(driver.connect(source.parameters)) as session, session.transaction():
        session.execute("SET TRANSACTION READ ONLY")
        session.fetch(sql)


def with_raw_copy(source: System, sql: str, path: Path) -> None:
    transfer_rows(job(source, sql, postgresql(source.parameters.url)))


def with_arrow(source: System, sql: str, path: Path) -> None:
    destination = sqlite(path / "d.db")
    destination.execute("CREATE TABLE t (a integer)")
    transfer_rows(job(source, sql, destination))


def into_raw_copy(destination: System, path: Path) -> None:
    transfer_rows(job(destination, "SELECT a FROM numbers", destination, "refusing"))


def into_arrow(destination: System, path: Path) -> None:
    source = sqlite(path / "s.db")
    source.execute("CREATE TABLE s (a integer)", "INSERT INTO s VALUES (1)")
    transfer_rows(job(source, "SELECT a FROM s", destination, "refusing"))


READING = pytest.mark.parametrize("way", [with_psycopg, with_raw_copy, with_arrow])


def error_of(
    way: Way, url: str, *arguments: Any, session: dict[str, str] | None = None, user: str = ""
) -> PipekitError:
    """Call ``way`` with the system at the URL and return the error that it raises."""
    system = postgresql(url)
    options = {**system.parameters.options, "session": session or {}}
    system.parameters = replace(system.parameters, options=options, username=user, name="dw")
    with pytest.raises(PipekitError) as caught:
        way(system, *arguments)
    return caught.value


# SQLSTATE, error and whether it is retryable, as only temporary errors are
STATES: list[tuple[str, type[PipekitError], bool]] = [
    ("08006", errors.ConnectionLost, True),
    ("0A000", errors.QueryInvalid, False),
    ("22P02", errors.InvalidValue, False),
    ("23505", errors.InvalidValue, False),
    ("25006", errors.QueryInvalid, False),
    ("25P03", errors.StatementStopped, True),
    ("25P04", errors.StatementStopped, True),
    ("40001", errors.SerializationFailed, True),
    ("40P01", errors.SerializationFailed, True),
    ("42501", errors.PermissionDenied, False),
    ("44000", errors.InvalidValue, False),
    ("53100", errors.DiskFull, False),
    ("53200", errors.ConnectionFailed, True),
    ("53300", errors.ConnectionFailed, True),
    ("53400", errors.ConfigurationInvalid, False),
    ("55P03", errors.LockTimeout, True),
    ("57014", errors.StatementStopped, True),
    ("57P01", errors.ConnectionLost, True),
    ("57P04", errors.DatabaseMissing, False),
    ("57P05", errors.StatementStopped, True),
    ("58030", errors.ConfigurationError, False),
    ("72000", errors.SerializationFailed, True),
    ("HV00N", errors.ConnectionFailed, True),
    ("P0001", errors.QueryInvalid, False),
    ("XX001", errors.ConfigurationError, False),
]


@pytest.mark.default_cases(3)
@READING
@pytest.mark.parametrize(("state", "expected", "retryable"), [STATES[2], STATES[4], STATES[14], STATES[20]])
def test_a_sqlstate_raises_the_same_error_however_rows_are_read(
    way: Way, state: str, expected: type[PipekitError], retryable: bool, url: str, tmp_path: Path
) -> None:
    query = f"SELECT CASE WHEN a < 3000 THEN a ELSE refuse('{state}') END AS a FROM numbers"
    error = error_of(way, url, query, tmp_path)
    assert (type(error), error.retryable) == (expected, retryable), error.detail
    assert error.message == f"dw: refused with {state}"
    assert "its detail" in error.detail and f"SQLSTATE {state}" in error.detail
    assert error.hint


@pytest.mark.matrix
@READING
@pytest.mark.parametrize(("state", "expected", "retryable"), STATES)
def test_every_sqlstate_raises_the_same_error_however_rows_are_read(
    way: Way, state: str, expected: type[PipekitError], retryable: bool, url: str, tmp_path: Path
) -> None:
    test_a_sqlstate_raises_the_same_error_however_rows_are_read(way, state, expected, retryable, url, tmp_path)


@pytest.mark.matrix
@pytest.mark.parametrize("way", [into_raw_copy, into_arrow])
@pytest.mark.parametrize(("state", "expected", "retryable"), STATES)
def test_every_sqlstate_raises_the_same_error_however_rows_are_written(
    way: Way, state: str, expected: type[PipekitError], retryable: bool, url: str, tmp_path: Path
) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM setting")
        connection.execute("INSERT INTO setting VALUES (%s)", (state,))
    error = error_of(way, url, tmp_path)
    assert (type(error), error.retryable) == (expected, retryable), error.detail
    assert f"SQLSTATE {state}" in error.detail


@pytest.mark.default_cases(3)
@READING
@pytest.mark.parametrize(
    ("query", "session", "expected", "state"),
    [
        ("SELECT 1 / (a - 3000) AS a FROM numbers", {}, errors.InvalidValue, "22012"),
        ("SELECT v::int AS a FROM numbers WHERE a = 7", {}, errors.InvalidValue, "22P02"),
        ("SELECT a * 1000000 AS a FROM numbers", {}, errors.InvalidValue, "22003"),
        ("SELECT writing() AS a", {}, errors.QueryInvalid, "25006"),
        ("SELECT 1 AS a FROM pg_sleep(9)", {"statement_timeout": "200"}, errors.StatementStopped, "57014"),
        ("SELECT 1 AS a FROM pg_sleep(9)", {"transaction_timeout": "200"}, errors.StatementStopped, "25P04"),
        (
            "SELECT count(*)::int AS a FROM (SELECT v FROM numbers, generate_series(1, 9) ORDER BY v) x",
            {"temp_file_limit": "10", "work_mem": "64"},
            errors.ConfigurationInvalid,
            "53400",
        ),
    ],
)
def test_errors_of_a_query_are_the_same_however_rows_are_read(
    way: Way, query: str, session: dict[str, str], expected: type[PipekitError], state: str, url: str, tmp_path: Path
) -> None:
    error = error_of(way, url, query, tmp_path, session=session)
    assert (type(error), f"SQLSTATE {state}" in error.detail) == (expected, True), (error, error.detail)


@READING
def test_reading_a_table_without_the_privilege_raises_permission_denied(way: Way, url: str, tmp_path: Path) -> None:
    error = error_of(way, url, "SELECT a FROM numbers", tmp_path, user="stranger")
    assert (type(error), error.retryable) == (errors.PermissionDenied, False)


@READING
def test_a_session_that_an_administrator_terminates_raises_connection_lost(way: Way, url: str, tmp_path: Path) -> None:
    sleeping = "FROM pg_stat_activity WHERE datname = 'failing' AND wait_event = 'PgSleep'"

    def terminate() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            wait_until(lambda: connection.execute(f"SELECT 1 {sleeping}").fetchone())
            connection.execute(f"SELECT pg_terminate_backend(pid) {sleeping}")

    administrator = threading.Thread(target=terminate)
    administrator.start()
    error = error_of(way, url, "SELECT 1 AS a FROM pg_sleep(60)", tmp_path)
    administrator.join()
    assert (type(error), error.retryable) == (errors.ConnectionLost, True), error.detail
    assert "SQLSTATE 57P01" in error.detail


@pytest.mark.parametrize(
    ("setting", "begin", "state"),
    [("idle_in_transaction_session_timeout", "BEGIN", "25P03"), ("idle_session_timeout", "SELECT 1", "57P05")],
)
def test_a_session_that_exceeds_an_idle_timeout_of_the_server_raises_statement_stopped(
    setting: str, begin: str, state: str, url: str
) -> None:
    def idle(system: System) -> None:
        with closing(driver.connect(system.parameters)) as session, psycopg.connect(url, autocommit=True) as observer:
            session.execute(begin)
            pid = session.backend.pid
            wait_until(lambda: not observer.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone())
            session.execute("SELECT 1")

    error = error_of(idle, url, session={setting: "1000"})
    assert (type(error), f"SQLSTATE {state}" in error.detail) == (errors.StatementStopped, True), error.detail


def test_a_deadlock_is_retryable(url: str) -> None:
    def deadlock(system: System) -> None:
        one = driver.connect(system.parameters)
        with psycopg.connect(url) as other, closing(one), one.transaction():
            one.execute("LOCK TABLE t")
            other.execute("LOCK TABLE numbers")
            waiting = threading.Thread(target=lambda: other.execute("LOCK TABLE t"))
            waiting.start()
            with psycopg.connect(url, autocommit=True) as observer:
                wait_until(lambda: observer.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone())
            try:
                one.execute("LOCK TABLE numbers")
            finally:
                one.close()
                waiting.join()

    error = error_of(deadlock, url, session={"deadlock_timeout": "10ms"})
    assert (type(error), error.retryable) == (errors.SerializationFailed, True)
