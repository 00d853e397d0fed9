"""The warning of a run that reads nothing because the destination's highest watermark is above the source's.

Rows that were deleted at the end of the source explain the difference; there is no warning then.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runs.engine.plan import Plan, Strategy
from tests.harness.bench import Bench

pytestmark = pytest.mark.usefixtures("transfer_in_process")

Between = Callable[[str, str], Bench]
PAIRS = [
    ("sqlite", "postgresql"),
    *(pytest.param(pair, marks=pytest.mark.matrix) for pair in (("postgresql", "sqlite"), ("duckdb", "duckdb"))),
]


def by_k(bench: Bench, **changes: object) -> Plan:
    return bench.plan(
        "SELECT k AS k, v AS v FROM s",
        **{"strategy": Strategy.INCREMENTAL, "merge_key": ("k",), "watermark": "k", **changes},
    )


def target(bench: Bench) -> str:
    return '"sync.t"' if bench.destination.kind == "sqlite" else "sync.t"


def keys(bench: Bench) -> list[int]:
    return [row[0] for row in bench.rows(f"SELECT k FROM {target(bench)} ORDER BY 1")]


@pytest.fixture(params=PAIRS, ids=str)
def bench(request: pytest.FixtureRequest, between: Between) -> Bench:
    bench = between(*request.param)
    bench.at_source("CREATE TABLE s (k bigint, v text)", "INSERT INTO s VALUES (998, 'a'), (999, 'b'), (1000, 'c')")
    return bench


@pytest.mark.matrix
def test_a_stray_high_number_in_the_destination_causes_a_warning_and_deleting_it_brings_the_rows(bench: Bench) -> None:
    bench.run(by_k(bench))
    bench.at_destination(f"INSERT INTO {target(bench)} VALUES (999999999, 'stray')")
    bench.at_source("INSERT INTO s VALUES (1001, 'new')")
    (warning,) = bench.run(by_k(bench)).warnings
    assert "the highest k of the destination is 999999999, and the highest at the source is 1001" in warning
    assert "sync.t above 1001, or run the module once with --full-refresh" in warning
    assert keys(bench) == [998, 999, 1000, 999999999]
    bench.at_destination(f"DELETE FROM {target(bench)} WHERE k > 1001")
    assert bench.run(by_k(bench)).warnings == []
    assert keys(bench) == [998, 999, 1000, 1001]


def test_a_number_corrected_at_the_source_causes_a_warning_and_a_full_refresh_helps(bench: Bench) -> None:
    bench.at_source("INSERT INTO s VALUES (9999, 'mistyped')")
    bench.run(by_k(bench))
    assert bench.run(by_k(bench)).warnings == []
    bench.at_source("UPDATE s SET k = 1001 WHERE k = 9999")
    (warning,) = bench.run(by_k(bench)).warnings
    assert "A new row is read only when it is above 9999." in warning
    bench.run(by_k(bench, strategy=Strategy.FULL, watermark=""))
    assert bench.run(by_k(bench)).warnings == []
    assert keys(bench) == [998, 999, 1000, 1001]


def test_a_source_whose_numbers_started_again_causes_a_warning(bench: Bench) -> None:
    bench.at_source("INSERT INTO s SELECT k + 3, v FROM s", "INSERT INTO s SELECT k + 6, v FROM s")
    bench.run(by_k(bench))
    bench.at_source("DELETE FROM s", "INSERT INTO s VALUES (1, 'a'), (2, 'b')")
    (warning,) = bench.run(by_k(bench)).warnings
    assert "the highest at the source is 2" in warning


def test_a_run_with_nothing_to_read_has_no_warnings(bench: Bench) -> None:
    bench.run(by_k(bench))
    result = bench.run(by_k(bench))
    assert result.counts == (0, 0, 0)
    assert result.warnings == []


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("rows", "deleted"),
    [
        # consecutive numbers
        ([1, 2, 3, 4, 5], "k >= 4"),
        # a query that takes one row of ten
        ([10, 20, 30, 40, 50], "k >= 40"),
        # a table whose rows are deleted after they are processed
        ([1, 2, 3], "k > 0"),
    ],
)
def test_rows_deleted_at_the_end_of_the_source_cause_no_warning(
    between: Between, rows: list[int], deleted: str
) -> None:
    bench = between("sqlite", "postgresql")
    values = ", ".join(f"({number}, 'x')" for number in rows)
    bench.at_source("CREATE TABLE s (k bigint, v text)", f"INSERT INTO s VALUES {values}")
    bench.run(by_k(bench))
    bench.at_source(f"DELETE FROM s WHERE {deleted}")
    assert bench.run(by_k(bench)).warnings == []


def test_key_sync_removes_the_stray_row_so_there_is_no_warning(between: Between) -> None:
    bench = between("sqlite", "postgresql")
    values = ", ".join(f"({number}, 'x')" for number in range(20))
    bench.at_source("CREATE TABLE s (k bigint, v text)", f"INSERT INTO s VALUES {values}")
    bench.run(by_k(bench))
    bench.at_destination("INSERT INTO sync.t VALUES (5000, 'stray')")
    assert bench.run(by_k(bench, key_sync=True)).warnings == []
    assert len(keys(bench)) == 20


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("overlap", ["", "10"])
@pytest.mark.parametrize("query", ["SELECT * FROM s", "SELECT max(k) AS k, v AS v FROM s GROUP BY v"])
def test_the_warning_comes_for_every_form_of_query_and_with_an_overlap(
    between: Between, query: str, overlap: str
) -> None:
    bench = between("postgresql", "postgresql")
    bench.at_source("CREATE TABLE s (k numeric(12,2), v text)", "INSERT INTO s VALUES (1.5, 'a'), (2.25, 'b')")
    plan = by_k(bench, source_query=query, strategy=Strategy.UPSERT, overlap=overlap)
    bench.run(plan)
    bench.at_destination("INSERT INTO sync.t VALUES (70000.75, 'stray')")
    (warning,) = bench.run(plan).warnings
    assert "is 70000.75, and the highest at the source is 2.25" in warning
    assert f"only when it is {'at least 69990.75' if overlap else 'above 70000.75'}." in warning
