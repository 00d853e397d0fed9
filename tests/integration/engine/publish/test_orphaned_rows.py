"""Counting rows that lose what they reference: what cannot be counted is left out, what ends a run ends it."""

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
from tests.benches.bench import Bench

TABLE = TableName("", "parent")


@pytest.fixture
def bench(bench_to: Callable[[str], Bench]) -> Bench:
    """Two children reference a row that is there, one a row that is not."""
    found = bench_to("sqlite")
    found.at_destination(
        "CREATE TABLE parent (code text PRIMARY KEY)",
        "CREATE TABLE child (code text REFERENCES parent)",
        "INSERT INTO parent VALUES ('a')",
        "INSERT INTO child VALUES ('a'), ('a'), ('gone')",
    )
    return found


@pytest.fixture
def plan(bench: Bench) -> Plan:
    return bench.plan("SELECT 1", dest_table=TABLE)


@pytest.fixture
def opened(bench: Bench) -> Iterator[SqliteSession]:
    with closing(driver.connect(bench.destination)) as session:
        yield session


def counted(opened: SqliteSession, plan: Plan) -> OrphanedRows:
    return OrphanedRows(Destination(plan, opened), introspection.foreign_keys(opened, TABLE))


def with_collation(bench: Bench) -> None:
    bench.at_destination(
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(sql, 'code text', 'code text COLLATE german')",
    )


def test_rows_that_lose_what_they_reference_are_counted(opened: SqliteSession, plan: Plan) -> None:
    orphaned = counted(opened, plan)
    opened.execute("DELETE FROM parent")
    (warning,) = orphaned.warnings()
    assert "that were deleted (2 of them)" in warning


def test_what_could_not_be_counted_before_is_not_reported_as_new(bench: Bench, plan: Plan) -> None:
    with_collation(bench)
    with closing(driver.connect(bench.destination)) as opened:
        orphaned = counted(opened, plan)
        # from here on the rows can be counted; the row without a parent was there before
        opened.connection.create_collation("german", lambda a, b: (a > b) - (a < b))
        assert orphaned.warnings() == []


def test_what_can_be_counted_no_longer_is_not_reported(bench: Bench, plan: Plan) -> None:
    with_collation(bench)
    with closing(driver.connect(bench.destination)) as opened:
        opened.connection.create_collation("german", lambda a, b: (a > b) - (a < b))
        orphaned = counted(opened, plan)
        opened.connection.create_collation("german", None)
        assert orphaned.warnings() == []


def test_a_lock_that_is_not_released_ends_the_count(
    bench: Bench, plan: Plan, opened: SqliteSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = introspection.foreign_keys(opened, TABLE)
    monkeypatch.setattr(busy_wait, "WAITS", 0)
    monkeypatch.setattr(busy_wait, "_STEP", 0.05)
    path = bench.destination.url.removeprefix("jdbc:sqlite:")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LockTimeout):
            OrphanedRows(Destination(plan, opened), keys)
