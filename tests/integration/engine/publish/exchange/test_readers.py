"""Readers see the old or the new rows during exchanges, all of them and never none, and no error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from connections.sdk.errors import LockTimeout
from connections.sdk.schema import TableName
from runs.engine.events import MethodChosen
from runs.engine.plan import FullPublish
from tests.harness.bench import Bench

pytestmark = pytest.mark.usefixtures("transfer_in_process")
ROWS = 100
COUNT = "SELECT count(*), min(version), max(version) FROM sync.{}"
Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def tables(pg_bench: Bench) -> Bench:
    filled = f"SELECT n, 0 FROM generate_series(1, {ROWS}) n"
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        *(f"CREATE TABLE sync.{name} (k int PRIMARY KEY, version int)" for name in "ab"),
        *(f"INSERT INTO sync.{name} {filled}" for name in "ab"),
        "CREATE FUNCTION sync.counted() RETURNS bigint LANGUAGE plpgsql AS "
        "'DECLARE r record; n int := 0; BEGIN FOR r IN SELECT * FROM sync.a LOOP n := n + 1; END LOOP; RETURN n; END'",
    )
    return pg_bench


def swap(bench: Bench, version: int, names: str = "a") -> None:
    for name in names:
        query = f"SELECT n AS k, {version} AS version FROM generate_series(1, {ROWS}) n"
        plan = replace(
            bench.plan(query), module=name, dest_table=TableName("sync", name), full_publish=FullPublish.SWAP
        )
        assert bench.run(plan).last(MethodChosen).method == "swap"


def assert_whole(row: tuple[Any, ...] | None) -> None:
    assert row is not None
    count, least, greatest = row
    assert (count, least) == (ROWS, greatest)


def read_once(connection: Connection) -> None:
    assert_whole(connection.execute(COUNT.format("a").encode()).fetchone())


def read_prepared(connection: Connection) -> None:
    assert_whole(connection.execute(f"{COUNT.format('a')} WHERE k > %s".encode(), (0,), prepare=True).fetchone())
    rows = connection.execute("SELECT * FROM sync.a WHERE k = %s", (7,), prepare=True).fetchall()
    assert len(rows) == 1


def call_function(connection: Connection) -> None:
    assert connection.execute("SELECT sync.counted()").fetchone() == (ROWS,)


def join(connection: Connection) -> None:
    query = "SELECT count(*), count(DISTINCT a.version), count(DISTINCT b.version) FROM sync.a JOIN sync.b USING (k)"
    assert connection.execute(query).fetchone() == (ROWS, 1, 1)


def read_after_the_snapshot(connection: Connection) -> None:
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT pg_sleep(0.1)")
        first = connection.execute(COUNT.format("a").encode()).fetchone()
        assert_whole(first)
        assert connection.execute(COUNT.format("a").encode()).fetchone() == first


def delete_from_referenced(connection: Connection) -> None:
    connection.execute("INSERT INTO sync.parent VALUES (1000)")
    connection.execute("DELETE FROM sync.parent WHERE k = 1000")


@contextmanager
def reading(bench: Bench, *readers: Callable[[Connection], None]) -> Iterator[None]:
    """Call each reader in a loop during the block; raise the first error of one."""
    stop, errors, calls = threading.Event(), list[Exception](), dict.fromkeys(readers, 0)

    def loop(read: Callable[[Connection], None]) -> None:
        with psycopg.connect(bench.destination.url, autocommit=True) as connection:
            while not stop.is_set():
                try:
                    read(connection)
                    calls[read] += 1
                except Exception as error:
                    errors.append(error)
                    return

    threads = [threading.Thread(target=loop, args=(read,)) for read in readers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    assert all(calls.values())


def test_a_transaction_that_began_before_sees_all_new_rows(tables: Bench) -> None:
    with psycopg.connect(tables.destination.url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT 1 FROM pg_class")
        swap(tables, 1)
        assert connection.execute(COUNT.format("a").encode()).fetchone() == (ROWS, 1, 1)


def test_an_open_cursor_goes_on_and_the_exchange_times_out(tables: Bench) -> None:
    with psycopg.connect(tables.destination.url) as connection, connection.cursor("c") as cursor:
        cursor.execute("SELECT version FROM sync.a")
        begun = cursor.fetchmany(10)
        plan = tables.plan(
            "SELECT 1 AS k, 1 AS version", dest_table=TableName("sync", "a"), force=True, lock_timeout=0.2
        )
        with pytest.raises(LockTimeout, match="locks on sync.a are held by"):
            tables.run(plan)
        assert [*begun, *cursor.fetchall()] == [(0,)] * ROWS
    swap(tables, 2)


def test_readers_in_a_loop_see_the_old_or_the_new_rows(tables: Bench) -> None:
    with reading(tables, read_once, read_prepared, read_after_the_snapshot):
        for version in range(1, 4):
            swap(tables, version)


@pytest.mark.matrix
def test_all_kinds_of_readers_during_thirty_exchanges(tables: Bench) -> None:
    tables.at_destination(
        "CREATE TABLE sync.parent (k int PRIMARY KEY)",
        f"INSERT INTO sync.parent SELECT generate_series(1, {ROWS})",
        "ALTER TABLE sync.b ADD FOREIGN KEY (k) REFERENCES sync.parent",
    )
    readers = (read_once, read_prepared, call_function, join, read_after_the_snapshot, delete_from_referenced)
    with reading(tables, *readers):
        for version in range(1, 16):
            swap(tables, version, names="ab")
