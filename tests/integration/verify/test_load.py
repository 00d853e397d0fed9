"""A verification asks no more of the two systems than it has to, and stops when it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest

from connections.sdk.capabilities import Cap
from connections.sdk.errors import Cancelled
from runs.engine.destination import Destination
from runs.engine.plan import Strategy
from runs.engine.sessions import open_session
from runs.engine.verify import sides
from runs.engine.verify.segments import HashGrid, Segment
from runs.engine.verify.server_side import ServerSide
from runs.engine.verify.side import Side, Sides
from runs.engine.verify.streamed_side import StreamedSide
from tests.benches.bench import Bench
from tests.benches.verification import counts, verified
from tests.processes.commands import backends, wait_until

QUERY = "SELECT id AS id, name AS name, price AS price FROM s"


def filled(bench: Bench, price: str = "numeric(9,2)") -> Bench:
    """The bench with the same 50 rows on both sides."""
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
    with open_session(plan.destination, Cap.READ) as opened:
        tables = sides.describe(Destination(plan, opened), QUERY)
    with ExitStack() as stack:
        yield sides.open_sides(plan, tables, sides.compared(plan, tables, (), None), None, stack)


def test_the_examples_of_keys_that_are_no_integers_take_one_statement_a_side(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[int]()

    def counted(values: Callable[..., Any]) -> Callable[..., Any]:
        def counting(self: Side, segment: Segment, grid: Any, key_hashes: Any) -> Any:
            asked.append(len(key_hashes))
            return values(self, segment, grid, key_hashes)

        return counting

    for side in (StreamedSide, ServerSide):
        monkeypatch.setattr(side, "values", counted(side.values))
    filled(bench).at_destination("UPDATE sync.t SET price = -1 WHERE id % 10 = 0")
    found = verified(bench, QUERY, merge_key=("name",))
    assert counts(found) == (0, 0, 5)
    assert {value.key for value in found.outcome.different} == {(f"name {number}0",) for number in range(1, 6)}
    assert asked == [5, 5]


def test_a_side_that_is_stopped_before_its_first_row_reads_none(bench: Bench) -> None:
    with opened_sides(filled(bench)) as both:
        assert both.source.digest(Segment(), HashGrid(count=1))
        both.source.stop()
        with pytest.raises(Cancelled):
            both.source.digest(Segment(), HashGrid(count=1))
        with pytest.raises(Cancelled):
            list(both.source.hashes(Segment(), HashGrid(count=1)))


def test_no_session_waits_beside_rows_that_are_read_and_hashed_here(pg_bench: Bench) -> None:
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with opened_sides(filled(pg_bench, price="varchar(20)")) as both:
        assert both.why.startswith("rows are read and hashed here")
        assert pg_bench.rows(others) == [(0,)]


def idle(url: str) -> bool:
    return backends(url) == 0


def test_digests_of_many_rows_need_no_room_on_the_servers_disk(pg_bench: Bench) -> None:
    rows = "SELECT g AS id, repeat('x', 200) AS name FROM generate_series(1, 40000) AS g"
    # as little memory for 40,000 rows as a server has by default for millions
    memory = "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = ''512kB''', current_database()); END$$"
    pg_bench.at_source(f"CREATE TABLE s AS {rows}", "ANALYZE s", memory)
    pg_bench.at_destination("CREATE SCHEMA sync", f"CREATE TABLE sync.t AS {rows}", "ANALYZE sync.t", memory)
    found = verified(pg_bench, "SELECT id AS id, name AS name FROM s")
    assert (found.outcome.source_rows, counts(found)) == (40000, (0, 0, 0))
    for url in (pg_bench.source.url, pg_bench.destination.url):
        # sessions report what they used when they end
        wait_until(partial(idle, url))
        with psycopg.connect(url) as connection:
            used = connection.execute("SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()")
            assert used.fetchone() == (0,)
