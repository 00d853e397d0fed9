"""Append neither duplicates nor omits rows at the highest watermark, for any collation and precision."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runs.engine.plan import Plan, Strategy
from tests.harness.bench import Bench, Rows
from tests.harness.matrix import first_by_default

pytestmark = pytest.mark.usefixtures("transfer_in_process")

Between = Callable[[str, str], Bench]
KINDS = ["sqlite", "duckdb", "postgresql"]


def append_plan(bench: Bench, columns: str = "id, w", **changes: object) -> Plan:
    return bench.plan(f"SELECT {columns} FROM s", **{"strategy": Strategy.APPEND, "watermark": "w", **changes})


def rows(bench: Bench) -> Rows:
    table = '"sync.t"' if bench.destination.kind == "sqlite" else "sync.t"
    return bench.rows(f"SELECT * FROM {table} ORDER BY 1, 2")


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_a_watermark_that_are_read_again_are_not_added_again(between: Between, kind: str) -> None:
    bench = between("sqlite", kind)
    bench.at_source("CREATE TABLE s (id integer, w integer)", "INSERT INTO s VALUES (1, NULL), (2, NULL), (2, NULL)")
    # as long as no row has a watermark, all rows are read
    bench.run(append_plan(bench))
    bench.run(append_plan(bench))
    assert rows(bench) == [(1, None), (2, None), (2, None)]
    bench.at_source("INSERT INTO s VALUES (3, 7)")
    bench.run(append_plan(bench))
    assert rows(bench) == [(1, None), (2, None), (2, None), (3, 7)]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("kind", "declared"), [("sqlite", "text COLLATE nocase"), ("duckdb", "varchar COLLATE nocase")]
)
def test_rows_are_not_added_again_if_the_destination_ignores_case(between: Between, kind: str, declared: str) -> None:
    bench = between("sqlite", kind)
    bench.at_source("CREATE TABLE s (id integer, w text)", "INSERT INTO s VALUES (1, 'a'), (2, 'B')")
    table = '"sync.t"' if kind == "sqlite" else "sync.t"
    schema = [] if kind == "sqlite" else ["CREATE SCHEMA sync"]
    bench.at_destination(*schema, f"CREATE TABLE {table} (id integer, w {declared})")
    bench.run(append_plan(bench))
    # 'B' is the highest in the destination; the source sorts 'a' after it, so both are read again
    assert bench.run(append_plan(bench)).counts == (0, 0, 0)
    assert rows(bench) == [(1, "a"), (2, "B")]


@pytest.mark.parametrize("strategy", first_by_default([Strategy.APPEND, Strategy.UPSERT, Strategy.INCREMENTAL]))
@pytest.mark.parametrize(
    ("before", "after"), [("1700000000.123456", "1700000000.123458"), ("0.1234567890123456", "0.123456789012346")]
)
def test_a_row_that_is_above_the_highest_watermark_by_a_rounding_error_is_read(
    between: Between, strategy: Strategy, before: str, after: str
) -> None:
    bench = between("sqlite", "sqlite")
    bench.at_source("CREATE TABLE s (id integer, w real)", f"INSERT INTO s VALUES (1, {before})")
    plan = append_plan(bench, strategy=strategy, merge_key=("id",))
    bench.run(plan)
    bench.at_source(f"INSERT INTO s VALUES (2, {after})")
    bench.run(plan)
    assert rows(bench) == [(1, float(before)), (2, float(after))]


def test_numbers_that_differ_in_their_last_digit_are_two_rows_in_sqlite(between: Between) -> None:
    bench = between("sqlite", "sqlite")
    bench.at_source("CREATE TABLE s (w integer, v real)", "INSERT INTO s VALUES (1, 0.3)")
    plan = bench.plan("SELECT w, v FROM s ORDER BY v DESC", strategy=Strategy.APPEND, watermark="w", overlap="1")
    bench.run(plan)
    bench.at_source("INSERT INTO s VALUES (1, 0.30000000000000004)")
    bench.run(plan)
    assert rows(bench) == [(1, 0.3), (1, 0.1 + 0.2)]
