"""Runs killed at the fault points of an exchange on SQLite and DuckDB: it is complete or absent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runs.engine.events import MethodChosen
from tests.faults.killed_runs import run_with_fault
from tests.harness.bench import Bench, Rows

QUERY = "SELECT k, v FROM s"
FORMER, NEW = [(1, "former"), (2, "former")], [(1, "new"), (2, "new")]
TABLE = {"sqlite": '"sync.t"', "duckdb": "sync.t"}
# SQLite drops the table, renames the other one between two settings, and creates an index; DuckDB has no settings
STATEMENTS = {"sqlite": 5, "duckdb": 3}
OBJECTS = {
    "sqlite": "SELECT name, sql FROM sqlite_schema WHERE tbl_name = 'sync.t' ORDER BY 1",
    "duckdb": "SELECT table_name, sql FROM duckdb_tables() WHERE table_name = 't'"
    " UNION ALL SELECT index_name, sql FROM duckdb_indexes() ORDER BY 1",
}
LATER = ["stage.finished", "transfer.finished", "publish.before_commit", "publish.after_commit"]
POINTS = [
    (kind, point)
    for kind, count in STATEMENTS.items()
    for point in [*(f"publish.between_statements#{number}" for number in range(count, 0, -1)), *LATER]
]


@pytest.fixture
def exchanged(bench_to: Callable[[str], Bench], request: pytest.FixtureRequest) -> Bench:
    """A table with an index, which refreshes exchange; the next one has other rows."""
    kind: str = request.param
    bench = bench_to(kind)
    bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'former'), (2, 'former')")
    bench.run(bench.plan(QUERY))
    bench.at_destination(f"CREATE INDEX by_v ON {TABLE[kind]} (v)")
    bench.at_source("UPDATE s SET v = 'new'")
    return bench


def state(bench: Bench) -> tuple[Rows, Rows]:
    """Return the rows of the table, and its definition with that of its index."""
    kind = bench.destination.kind
    return bench.rows(f"SELECT k, v FROM {TABLE[kind]} ORDER BY 1"), bench.rows(OBJECTS[kind])


@pytest.mark.usefixtures("transfer_in_process")
@pytest.mark.parametrize(
    ("exchanged", "point"),
    [
        pytest.param(kind, point, marks=[] if point.endswith(f"#{STATEMENTS[kind]}") else pytest.mark.matrix)
        for kind, point in POINTS
    ],
    indirect=["exchanged"],
)
def test_a_refresh_killed_at_any_point_has_exchanged_the_table_or_left_it(
    exchanged: Bench, point: str, tmp_path: Path
) -> None:
    before = state(exchanged)
    assert before[0] == FORMER and len(before[1]) == 2
    result = run_with_fault(exchanged.plan(QUERY), f"{point}=kill9", tmp_path / "points")
    assert (result.killed, result.points[-1]) == (True, point.partition("#")[0])
    is_committed = point == "publish.after_commit"
    assert state(exchanged) == ((NEW, before[1]) if is_committed else before)
    # the next run is not affected by what was left
    assert exchanged.run(exchanged.plan(QUERY)).last(MethodChosen).method == "swap"
    assert state(exchanged) == (NEW, before[1])


@pytest.mark.matrix
@pytest.mark.usefixtures("transfer_in_process")
@pytest.mark.parametrize("point", ["transfer.finished", "publish.between_statements", "publish.before_commit"])
@pytest.mark.parametrize("kind", list(TABLE))
def test_a_first_load_killed_at_any_point_has_created_no_table(
    bench_to: Callable[[str], Bench], kind: str, point: str, tmp_path: Path
) -> None:
    bench = bench_to(kind)
    bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'new'), (2, 'new')")
    assert run_with_fault(bench.plan(QUERY), f"{point}=kill9", tmp_path / "points").killed
    assert bench.rows(OBJECTS[kind]) == []
    bench.run(bench.plan(QUERY))
    assert state(bench)[0] == NEW
