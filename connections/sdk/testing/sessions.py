"""Tests of control SQL: statements, parameters, transactions, read-only queries, cancellation."""

from __future__ import annotations

import threading
import time

import pytest

from connections.sdk.errors import PipekitError
from connections.sdk.protocols import Session
from connections.sdk.testing.fixtures import Fixtures
from connections.sdk.testing.values import NAMES, TEXTS, WRITING
from connections.sdk.testing.workbench import Workbench, endless
from connections.sdk.types import Kind


class _Failure(Exception):
    """Raised to end a transaction."""


class SessionTests(Fixtures):
    """A session executes what it is given, unchanged, and commits each statement by itself."""

    def test_statements_report_the_rows_that_they_affect(self, bench: Workbench) -> None:
        name = bench.dialect.qualified(bench.numbers(10))
        with bench.session() as session:
            assert session.execute(f"UPDATE {name} SET s = 'x' WHERE n <= 3") in (3, -1)
            assert session.execute(f"DELETE FROM {name} WHERE n > 5") in (5, -1)
            assert session.execute(f"INSERT INTO {name} SELECT n + 100, s FROM {name} WHERE n <= 2") in (2, -1)
            assert session.execute(f"DELETE FROM {name} WHERE n = 77") in (0, -1)
        assert bench.rows(f"SELECT n, s FROM {name} ORDER BY n") == [
            *((n, "x") for n in (1, 2, 3)),
            *((n, f"row {n}") for n in (4, 5)),
            *((n, "x") for n in (101, 102)),
        ]

    def test_rows_are_returned_in_the_order_of_the_query(self, bench: Workbench) -> None:
        name = bench.dialect.qualified(bench.numbers(100))
        assert bench.rows(f"SELECT n FROM {name} ORDER BY n DESC") == [(n,) for n in range(100, 0, -1)]
        assert bench.rows(f"SELECT n FROM {name} WHERE n < 0") == []

    def test_each_statement_is_committed_by_itself(self, bench: Workbench) -> None:
        name = bench.dialect.qualified(bench.numbers(1))
        with bench.session() as session:
            session.execute(f"DELETE FROM {name}")
        assert bench.rows(f"SELECT n FROM {name}") == []

    def test_parameters_are_bound_unchanged(self, bench: Workbench) -> None:
        native = [bench.native(kind) for kind in (Kind.BIGINT, Kind.TEXT, Kind.DOUBLE, Kind.BINARY, Kind.BOOLEAN)]
        rows = [(n, text, n / 7, text[:50].encode(), bool(n % 2)) for n, text in enumerate(TEXTS)]
        ends = [(2**63 - 1, None, None, None, None), (-(2**63), "", 0.1, b"\0", True)]
        table = bench.create(list(zip(("n", "s", "d", "b", "t"), native, strict=True)), [*rows, *ends])
        found = bench.rows(bench.select(table))
        assert [tuple(row) for row in found] == [
            (-(2**63), "", 0.1, b"\0", True),
            *rows,
            (2**63 - 1, None, None, None, None),
        ]

    def test_a_statement_without_parameters_is_sent_unchanged(self, bench: Workbench) -> None:
        assert bench.rows("SELECT '100 % of %s ? :x $1' AS s WHERE 'a%b' LIKE '%%'") == [("100 % of %s ? :x $1",)]

    def test_a_literal_preserves_its_text(self, bench: Workbench) -> None:
        with bench.session() as session:
            for text in TEXTS:
                assert session.fetch(f"SELECT {bench.dialect.string(text)} AS s") == [(text,)]

    def test_quoting_preserves_a_name(self, bench: Workbench) -> None:
        # a column that does not exist would otherwise be found under another spelling
        listed = ", ".join(f"{n} AS {bench.dialect.quote(name)}" for n, name in enumerate(NAMES))
        with bench.session() as session:
            for number, name in enumerate(NAMES):
                query = f"SELECT q.{bench.dialect.quote(name)} FROM (SELECT {listed}) q"
                assert session.fetch(query) == [(number,)], name

    def test_a_transaction_is_committed_at_its_end(self, bench: Workbench) -> None:
        name = bench.dialect.qualified(bench.numbers(3))
        with bench.session() as session, session.transaction():
            session.execute(f"DELETE FROM {name} WHERE n = 1")
            session.execute(f"DELETE FROM {name} WHERE n = 2")
        assert bench.rows(f"SELECT n FROM {name}") == [(3,)]

    def test_a_failed_transaction_changes_nothing(self, bench: Workbench) -> None:
        table = bench.numbers(3)
        name = bench.dialect.qualified(table)
        with bench.session() as session:
            with pytest.raises(_Failure), session.transaction():
                session.execute(f"DELETE FROM {name} WHERE n = 1")
                raise _Failure
            with pytest.raises(PipekitError), session.transaction():
                session.execute(f"DELETE FROM {name} WHERE n = 2")
                session.execute("SELEC 1")
            assert session.fetch(f"SELECT count(*) FROM {name}") == [(3,)]
            # the session goes on
            session.execute(f"DELETE FROM {name} WHERE n = 3")
        assert bench.rows(f"SELECT n FROM {name} ORDER BY n") == [(1,), (2,)]

    def test_a_transaction_is_visible_to_others_only_after_its_commit(self, bench: Workbench) -> None:
        name = bench.dialect.qualified(bench.numbers(3))
        with bench.session() as session:
            with session.transaction():
                session.execute(f"DELETE FROM {name}")
                assert session.fetch(f"SELECT count(*) FROM {name}") == [(0,)]
                assert bench.rows(f"SELECT count(*) FROM {name}") == [(3,)]
            assert bench.rows(f"SELECT count(*) FROM {name}") == [(0,)]


class ReadOnlyTests(Fixtures):
    """Queries of users cannot write."""

    def test_a_read_only_query_returns_its_first_row(self, bench: Workbench) -> None:
        name = bench.dialect.qualified(bench.numbers(5))
        with bench.session() as session:
            assert session.fetch_read_only(f"SELECT n, s FROM {name} ORDER BY n DESC") == (5, "row 5")
            assert session.fetch_read_only(f"SELECT n FROM {name} WHERE n < 0") is None
            assert session.fetch_read_only(f"SELECT max(n) FROM {name} WHERE n < 0") == (None,)

    def test_a_read_only_query_cannot_write(self, bench: Workbench) -> None:
        table = bench.numbers(3)
        with bench.session() as session:
            for text in WRITING:
                with pytest.raises(PipekitError) as caught:
                    session.fetch_read_only(text.format(t=table.table))
                assert caught.value.code in ("query_invalid", "permission_denied"), f"{text}: {caught.value.code}"
                assert len(session.fetch(bench.select(table))) == 3, text
            assert bench.connector.introspector.describe_table(session, bench.table("x")) is None
            # the queries did not change what statements may do
            session.execute(f"DELETE FROM {bench.dialect.qualified(table)} WHERE n = 1")
        assert bench.rows(bench.select(table)) == [(2, "row 2"), (3, "row 3")]


class CancelTests(Fixtures):
    """A running statement can be stopped from another thread."""

    def test_a_running_statement_is_cancelled(self, bench: Workbench) -> None:
        name = bench.dialect.qualified(bench.numbers(1000))
        statement = _Statement(bench, f"SELECT count(*) FROM {endless(name)}")
        statement.start()
        assert statement.started.wait(30)
        deadline = time.monotonic() + bench.case.cancel_seconds
        # a request that comes before the statement has begun has no effect
        while statement.is_alive() and time.monotonic() < deadline:
            statement.session.cancel()
            statement.join(0.2)
        assert not statement.is_alive(), f"the statement still runs {bench.case.cancel_seconds} s after cancel()"
        assert statement.error is not None, "the statement ended without an error"
        assert statement.error.code in ("cancelled", "statement_stopped"), statement.error.code
        assert statement.usable, "the session is not usable after a cancelled statement"

    def test_cancel_without_a_statement_has_no_effect(self, bench: Workbench) -> None:
        with bench.session() as session:
            session.cancel()
            assert session.fetch("SELECT 1") == [(1,)]

    def test_cancel_of_a_closed_session_has_no_effect(self, bench: Workbench) -> None:
        with bench.session() as session:
            assert session.fetch("SELECT 1") == [(1,)]
        session.cancel()


class _Statement(threading.Thread):
    """A thread with a session of its own that executes one query."""

    session: Session

    def __init__(self, bench: Workbench, query: str) -> None:
        super().__init__(name="statement", daemon=True)
        self.bench, self.query = bench, query
        self.started = threading.Event()
        self.error: PipekitError | None = None
        self.usable = False

    def run(self) -> None:
        with self.bench.session() as self.session:
            self.started.set()
            try:
                self.session.fetch(self.query)
            except PipekitError as error:
                self.error = error
            # a second request may come too late for the statement, and stop this one
            for _ in range(3):
                try:
                    self.usable = self.session.fetch("SELECT 1") == [(1,)]
                    return
                except PipekitError:
                    continue
