"""A verification puts no unnecessary load on the two systems, and stops when it is cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import psycopg
import pytest

from connections.sdk.capabilities import Cap
from connections.sdk.errors import Cancelled
from runs.engine.destination import Destination
from runs.engine.plan import Strategy
from runs.engine.segments import HashGrid, Segment
from runs.engine.sessions import open_session
from runs.engine.verify import open_sides
from runs.engine.verify.server_side import ServerSide
from runs.engine.verify.side import Side, Sides
from runs.engine.verify.streamed_side import StreamedSide
from tests.harness.bench import Bench
from tests.harness.verification import counts, run_verification, table_of
from tests.processes.commands import backends, wait_until

pytestmark = pytest.mark.matrix

QUERY = "SELECT id AS id, name AS name, price AS price FROM s"


def fill(bench: Bench, price: str = "numeric(9,2)") -> Bench:
    """Create a source and a destination with the same 50 rows."""
    rows = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) SELECT i, 'name ' || i, {} FROM n"
    )
    bench.at_source("CREATE TABLE s (id integer, name varchar(40), price integer)", f"INSERT INTO s {rows.format('i')}")
    bench.at_destination(
        "CREATE SCHEMA sync",
        f"CREATE TABLE sync.t (id integer, name varchar(40), price {price})",
        f"INSERT INTO sync.t {rows.format(f'CAST(i AS {price})')}",
    )
    return bench


@contextmanager
def opened_sides(bench: Bench) -> Iterator[Sides]:
    plan = bench.plan(QUERY, strategy=Strategy.UPSERT, merge_key=("id",))
    with open_session(plan.destination, Cap.READ) as session:
        described = open_sides.describe(Destination(plan, session), QUERY)
    with ExitStack() as stack:
        yield open_sides.open_sides(plan, described, open_sides.comparison_spec(plan, described, (), None), None, stack)


def test_examples_with_keys_that_are_not_integers_take_one_statement_per_side(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_counts = list[int]()

    def count_keys(values: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(self: Side, segment: Segment, grid: Any, key_hashes: Any) -> Any:
            key_counts.append(len(key_hashes))
            return values(self, segment, grid, key_hashes)

        return wrapper

    for side in (StreamedSide, ServerSide):
        monkeypatch.setattr(side, "values", count_keys(side.values))
    fill(bench).at_destination("UPDATE sync.t SET price = -1 WHERE id % 10 = 0")
    result = run_verification(bench, QUERY, merge_key=("name",))
    assert counts(result) == (0, 0, 5)
    assert {value.key for value in result.comparison.different} == {(f"name {number}0",) for number in range(1, 6)}
    assert key_counts == [5, 5]


def test_a_side_that_is_stopped_before_its_first_row_reads_none(bench: Bench) -> None:
    with opened_sides(fill(bench)) as both:
        assert both.source.digest(Segment(), HashGrid(count=1))
        both.source.stop()
        with pytest.raises(Cancelled):
            both.source.digest(Segment(), HashGrid(count=1))
        with pytest.raises(Cancelled):
            list(both.source.hashes(Segment(), HashGrid(count=1)))


def test_no_session_is_open_besides_those_that_read_the_rows(pg_bench: Bench) -> None:
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with opened_sides(fill(pg_bench, price="varchar(20)")) as both:
        assert both.why.startswith("rows are read and hashed here")
        assert pg_bench.rows(others) == [(0,)]


def has_no_backends(url: str) -> bool:
    return backends(url) == 0


def test_digests_of_many_rows_need_no_temporary_files_on_the_servers(pg_bench: Bench) -> None:
    rows = "SELECT g AS id, repeat('x', 200) AS name FROM generate_series(1, 40000) AS g"
    # as little memory for 40,000 rows as the default is for millions
    memory = "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = ''512kB''', current_database()); END$$"
    pg_bench.at_source(f"CREATE TABLE s AS {rows}", "ANALYZE s", memory)
    pg_bench.at_destination("CREATE SCHEMA sync", f"CREATE TABLE sync.t AS {rows}", "ANALYZE sync.t", memory)
    result = run_verification(pg_bench, "SELECT id AS id, name AS name FROM s")
    assert (result.comparison.source_rows, counts(result)) == (40000, (0, 0, 0))
    for url in (pg_bench.source.url, pg_bench.destination.url):
        # a session reports its statistics when it ends
        wait_until(partial(has_no_backends, url))
        with psycopg.connect(url) as connection:
            used = connection.execute("SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()")
            assert used.fetchone() == (0,)


@pytest.mark.parametrize("server", ["source", "destination"])
def test_a_range_that_takes_longer_than_the_time_limit_of_its_server_is_compared_in_smaller_parts(
    server: str, between: Callable[[str, str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = ("postgresql", "sqlite") if server == "source" else ("sqlite", "postgresql")
    pair = between(*kinds)
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) SELECT i, 'name ' || i FROM n"
    # called immutable, so that it is executed only for rows whose name is read
    slow = "CREATE FUNCTION slow(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS "
    slow += "'BEGIN PERFORM pg_sleep(0.004); RETURN $1; END'"
    view = "AS SELECT id, slow(name) AS name FROM rows_of_it"
    table, tables = table_of(pair), "(id integer, name text)"
    if server == "source":
        pair.at_source(
            f"CREATE TABLE rows_of_it {tables}", f"INSERT INTO rows_of_it {rows}", slow, f"CREATE VIEW s {view}"
        )
        pair.at_destination(f"CREATE TABLE {table} {tables}", f"INSERT INTO {table} {rows}")
    else:
        pair.at_source(f"CREATE TABLE s {tables}", f"INSERT INTO s {rows}")
        pair.at_destination("CREATE SCHEMA sync", f"CREATE TABLE rows_of_it {tables}", f"INSERT INTO rows_of_it {rows}")
        pair.at_destination(slow, f"CREATE VIEW sync.t {view}")
    limited = replace(getattr(pair, server), options={"session": {"statement_timeout": "300ms"}})
    setattr(pair, server, limited)
    stopped = count_stops(monkeypatch)
    result = run_verification(pair, "SELECT id AS id, name AS name FROM s")
    assert (counts(result), result.comparison.source_rows, result.comparison.dest_rows) == ((0, 0, 0), 300, 300)
    assert stopped, "the other side was not stopped, so that this test shows nothing"


def count_stops(monkeypatch: pytest.MonkeyPatch) -> list[Side]:
    """Let rows that are read here arrive slowly, and collect the sides that are stopped."""
    stopped, read, stop = list[Side](), StreamedSide._read, StreamedSide.stop

    def slowly(self: StreamedSide, segment: Segment) -> Iterator[Any]:
        for batch in read(self, segment):
            time.sleep(0.4)
            self._check_stopped()
            yield batch

    def collected(self: StreamedSide) -> None:
        stopped.append(self)
        stop(self)

    monkeypatch.setattr(StreamedSide, "_read", slowly)
    monkeypatch.setattr(StreamedSide, "stop", collected)
    return stopped
