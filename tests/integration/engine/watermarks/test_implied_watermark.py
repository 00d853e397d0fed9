"""The warning about a merge key that serves as the watermark although its values do not grow with time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runs.engine.plan import Plan, Strategy
from tests.harness.bench import Bench

pytestmark = pytest.mark.usefixtures("transfer_in_process")

Between = Callable[[str, str], Bench]


def by_code(bench: Bench, **changes: object) -> Plan:
    fields = {"merge_key": ("code",), "watermark": "code", "watermark_is_implied": True, **changes}
    return bench.plan("SELECT code AS code, v AS v FROM s", **{"strategy": Strategy.INCREMENTAL, **fields})


@pytest.mark.parametrize(
    ("source", "dest"),
    [
        ("sqlite", "postgresql"),
        pytest.param("postgresql", "duckdb", marks=pytest.mark.matrix),
        pytest.param("duckdb", "sqlite", marks=pytest.mark.matrix),
    ],
)
def test_a_text_key_without_a_watermark_causes_a_warning_before_rows_are_left_out(
    between: Between, source: str, dest: str
) -> None:
    bench = between(source, dest)
    bench.at_source("CREATE TABLE s (code varchar(5), v integer)", "INSERT INTO s VALUES ('M', 1), ('Z', 2)")
    (first,) = bench.run(by_code(bench)).warnings
    assert "only rows whose code, the first column of the merge key, is at least the highest one" in first
    assert "code is a text" in first and "merge_strategy: upsert, which reads all rows" in first
    # the warning is right: the new row is not read
    bench.at_source("INSERT INTO s VALUES ('B', 3)")
    assert bench.run(by_code(bench)).warnings == [first]
    assert bench.run(by_code(bench, dry_run=True)).warnings == [first]
    table = '"sync.t"' if dest == "sqlite" else "sync.t"
    assert bench.rows(f"SELECT code FROM {table} ORDER BY 1") == [("M",), ("Z",)]
    # the remedy that the warning names
    upsert = bench.run(by_code(bench, strategy=Strategy.UPSERT, watermark=""))
    assert upsert.warnings == []
    assert bench.rows(f"SELECT code FROM {table} ORDER BY 1") == [("B",), ("M",), ("Z",)]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("kind", "native", "count"),
    [
        ("postgresql", "time", 1),
        ("postgresql", "inet", 1),
        ("duckdb", "uuid", 1),
        ("postgresql", "timestamp", 0),
        ("postgresql", "bigint", 0),
    ],
)
def test_only_types_whose_values_do_not_grow_with_time_cause_a_warning(
    between: Between, kind: str, native: str, count: int
) -> None:
    bench = between(kind, kind)
    bench.at_source(f"CREATE TABLE s (code {native}, v integer)")
    assert len(bench.run(by_code(bench)).warnings) == count


def test_a_text_that_is_configured_as_the_watermark_causes_no_warning(between: Between) -> None:
    bench = between("sqlite", "sqlite")
    bench.at_source("CREATE TABLE s (code text, v integer)", "INSERT INTO s VALUES ('A1', 1)")
    assert bench.run(by_code(bench, watermark_is_implied=False)).warnings == []


def test_a_number_that_is_only_a_part_of_the_key_causes_a_warning_that_lower_numbers_are_left_out(
    between: Between,
) -> None:
    bench = between("sqlite", "postgresql")
    bench.at_source("CREATE TABLE s (code integer, v integer)", "INSERT INTO s VALUES (1, 1), (2, 1), (2, 2)")
    plan = by_code(bench, merge_key=("code", "v"))
    (warning,) = bench.run(plan).warnings
    assert warning.startswith("2 rows share the highest code.")
    assert "only because it is the first column of the merge key" in warning
    bench.at_source("INSERT INTO s VALUES (1, 2)")
    bench.run(plan)
    assert (1, 2) not in bench.rows()
    bench.run(by_code(bench, merge_key=("code", "v"), strategy=Strategy.UPSERT, watermark=""))
    assert (1, 2) in bench.rows()
