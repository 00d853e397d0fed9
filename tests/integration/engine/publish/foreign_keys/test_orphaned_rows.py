"""Counting rows that lose the row they reference; where they cannot be counted, there is no warning."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from connections.connectors.sqlite import busy_wait, driver, introspection
from connections.connectors.sqlite.driver import SqliteSession
from connections.sdk.errors import LockTimeout
from connections.sdk.schema import TableName
from runs.engine.destination import Destination
from runs.engine.plan import Plan
from runs.engine.publish.foreign_keys import OrphanedRows
from tests.harness.bench import Bench

TABLE = TableName("", "parent")


@pytest.fixture
def bench(bench_to: Callable[[str], Bench]) -> Bench:
    """A table with two rows that reference an existing row, and one whose reference is broken."""
    bench = bench_to("sqlite")
    bench.at_destination(
        "CREATE TABLE parent (code text PRIMARY KEY)",
        "CREATE TABLE child (code text REFERENCES parent)",
        "INSERT INTO parent VALUES ('a')",
        "INSERT INTO child VALUES ('a'), ('a'), ('gone')",
    )
    return bench


@pytest.fixture
def plan(bench: Bench) -> Plan:
    return bench.plan("SELECT 1", dest_table=TABLE)


@pytest.fixture
def session(bench: Bench) -> Iterator[SqliteSession]:
    with closing(driver.connect(bench.destination)) as session:
        yield session


def count_before(session: SqliteSession, plan: Plan) -> OrphanedRows:
    return OrphanedRows(Destination(plan, session), introspection.foreign_keys(session, TABLE))


def with_collation(bench: Bench) -> None:
    bench.at_destination(
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(sql, 'code text', 'code text COLLATE german')",
    )


def test_rows_that_lose_their_referenced_row_are_counted(session: SqliteSession, plan: Plan) -> None:
    orphaned = count_before(session, plan)
    session.execute("DELETE FROM parent")
    (warning,) = orphaned.warnings()
    assert "that were deleted (2 of them)" in warning


def test_rows_that_could_not_be_counted_before_are_not_reported(bench: Bench, plan: Plan) -> None:
    with_collation(bench)
    with closing(driver.connect(bench.destination)) as session:
        orphaned = count_before(session, plan)
        # from here on the rows can be counted; the broken reference is not new
        session.connection.create_collation("german", lambda a, b: (a > b) - (a < b))
        assert orphaned.warnings() == []


def test_rows_that_can_no_longer_be_counted_are_not_reported(bench: Bench, plan: Plan) -> None:
    with_collation(bench)
    with closing(driver.connect(bench.destination)) as session:
        session.connection.create_collation("german", lambda a, b: (a > b) - (a < b))
        orphaned = count_before(session, plan)
        session.execute("DELETE FROM parent")
        session.connection.create_collation("german", None)
        assert orphaned.warnings() == []


@pytest.mark.matrix
def test_a_lock_timeout_ends_the_count(
    bench: Bench, plan: Plan, session: SqliteSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = introspection.foreign_keys(session, TABLE)
    monkeypatch.setattr(busy_wait, "WAITS", 0)
    monkeypatch.setattr(busy_wait, "_STEP", 0.05)
    path = bench.destination.url.removeprefix("jdbc:sqlite:")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LockTimeout):
            OrphanedRows(Destination(plan, session), keys)
