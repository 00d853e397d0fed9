"""A key_sync_query may return the merge key's columns in any order without deleting rows that the source has."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runs.engine.plan import Limits, Strategy
from tests.harness.bench import Bench
from tests.harness.matrix import first_by_default

pytestmark = pytest.mark.usefixtures("transfer_in_process")


def run_key_sync(
    bench: Bench, key_query: str, *, query: str = "SELECT x AS a, y AS b, v FROM s"
) -> tuple[object, list[str]]:
    plan = bench.plan(
        query,
        strategy=Strategy.UPSERT,
        merge_key=("a", "b"),
        key_sync=True,
        key_sync_query=key_query,
        limits=Limits(max_delete_share=1),
    )
    result = bench.run(plan)
    table = '"sync.t"' if bench.destination.kind == "sqlite" else "sync.t"
    return bench.rows(f"SELECT a, b FROM {table} ORDER BY 1"), result.warnings


@pytest.fixture
def keyed(bench_to: Callable[[str], Bench]) -> Callable[[str], Bench]:
    def create(kind: str) -> Bench:
        bench = bench_to(kind)
        bench.at_source("CREATE TABLE s (x int, y int, v text)", "INSERT INTO s VALUES (1, 2, 'x'), (3, 3, 'y')")
        return bench

    return create


@pytest.mark.parametrize("kind", first_by_default(["sqlite", "duckdb", "postgresql"]))
@pytest.mark.parametrize(
    "key_query",
    [
        "SELECT x AS a, y AS b FROM s",
        "SELECT y AS b, x AS a FROM s",
        "SELECT y, x FROM s",
        'SELECT y AS "B", x + 0 FROM s',
    ],
)
def test_key_columns_are_matched_by_name(keyed: Callable[[str], Bench], kind: str, key_query: str) -> None:
    assert run_key_sync(keyed(kind), key_query) == ([(1, 2), (3, 3)], [])


def test_key_columns_of_other_names_are_matched_by_position_with_a_warning(keyed: Callable[[str], Bench]) -> None:
    rows, warnings = run_key_sync(keyed("sqlite"), "SELECT x + 0 AS p, y + 0 AS q FROM s")
    assert rows == [(1, 2), (3, 3)]
    assert "by their order it takes “p” for a, “q” for b" in warnings[0]


def test_names_of_the_destination_take_precedence_over_those_of_the_source(keyed: Callable[[str], Bench]) -> None:
    bench = keyed("sqlite")
    # the name of one column at the source is that of the other in the destination
    bench.at_source("ALTER TABLE s RENAME COLUMN x TO b")
    query = "SELECT b AS a, y AS b, v FROM s"
    assert run_key_sync(bench, "SELECT y AS b, b AS a FROM s", query=query) == ([(1, 2), (3, 3)], [])
