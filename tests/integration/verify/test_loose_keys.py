"""Looking up keys with several spellings in the destination: which, how often, and the warning above the limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from connections.sdk.errors import NotSupported, QueryInvalid
from connections.sdk.parameters import ConnectionParameters
from runs.engine.verify.pace import Pace
from runs.engine.verify.plan_repair import repair_plan
from runs.engine.verify.verify import Options, VerificationResult, verify_module
from tests.harness.bench import Bench
from tests.harness.verification import counts

pytestmark = pytest.mark.matrix

QUERY = "SELECT k AS k, n AS n FROM s"
NUMBERS = "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < {})"
UNPAIRED = "may be counted as missing and extra"


@dataclass(kw_only=True)
class CountingPace(Pace):
    """Counts the statements for which it waited."""

    per_second: float = 100_000
    statements: int = 0

    def wait(self) -> None:
        self.statements += 1
        super().wait()


def create_tables(bench: Bench, key: str, *rows: str, number: str = "integer", source: str = "text") -> None:
    """Create an empty source `s` and a destination with the rows, with columns `k` and `n`."""
    bench.at_source(f"CREATE TABLE s (k {source}, n {'real' if 'double' in number else number})")
    bench.at_destination(
        "CREATE SCHEMA IF NOT EXISTS sync",
        "CREATE TYPE mood AS ENUM ('happy', 'sad')",
        f"CREATE TABLE sync.t (k {key}, n {number})",
        *(f"INSERT INTO sync.t VALUES {row}" for row in rows),
    )


def compare(bench: Bench, key: tuple[str, ...] = ("k", "n"), **options: Any) -> VerificationResult:
    return verify_module(bench.plan(QUERY, merge_key=key), Options(**{"pace": CountingPace(), **options}))


def test_a_module_with_an_enum_key_that_has_not_run_yet_is_counted_exactly(bench: Bench) -> None:
    create_tables(bench, "mood")
    bench.at_source(f"INSERT INTO s {NUMBERS.format(10_001)} SELECT 'happy', n FROM i")
    result = compare(bench)
    assert counts(result) == (10_001, 0, 0)
    assert UNPAIRED not in " ".join(result.warnings)


def test_a_sample_with_an_enum_key_is_compared(bench: Bench) -> None:
    create_tables(bench, "mood", *(f"('sad', {number})" for number in range(100)))
    bench.at_source(f"INSERT INTO s {NUMBERS.format(100)} SELECT 'happy', n FROM i")
    missing, extra, different = counts(compare(bench, sample=50))
    assert missing > 0
    assert extra > 0
    assert different == 0


def test_above_the_limit_the_counts_come_with_a_warning(bench: Bench) -> None:
    create_tables(bench, "interval", "('1 day', 0)")
    bench.at_source(
        "INSERT INTO s VALUES ('24:00:00', 0)",
        f"INSERT INTO s {NUMBERS.format(10_000)} SELECT '01:00:00', n FROM i",
    )
    result = compare(bench)
    assert counts(result) == (10_001, 1, 0)
    assert UNPAIRED in " ".join(result.warnings)


def test_a_sample_with_an_enum_key_of_duckdb_is_compared(
    erp: Any, warehouse_of: Callable[[str], ConnectionParameters]
) -> None:
    bench = Bench(erp, warehouse_of("duckdb"))
    create_tables(bench, "mood", *(f"('sad', {number})" for number in range(20)))
    bench.at_source(f"INSERT INTO s {NUMBERS.format(20)} SELECT 'happy', n FROM i")
    missing, extra, different = counts(compare(bench, sample=19))
    assert missing > 0
    assert extra > 0
    assert different == 0


def test_without_extra_rows_the_counts_come_without_a_warning(bench: Bench) -> None:
    create_tables(bench, "interval")
    bench.at_source(f"INSERT INTO s {NUMBERS.format(10_001)} SELECT '01:00:00', n FROM i")
    result = compare(bench)
    assert counts(result) == (10_001, 0, 0)
    assert UNPAIRED not in " ".join(result.warnings)


def test_an_address_in_another_spelling_is_the_same_key(bench: Bench) -> None:
    create_tables(bench, "inet", "('fe80::1', 1)")
    bench.at_source("INSERT INTO s VALUES ('FE80::1/128', 1)")
    assert counts(compare(bench)) == (0, 0, 1)


def test_a_sample_with_an_address_key_is_compared_between_two_postgresql_systems(
    shop: Any, warehouse: ConnectionParameters
) -> None:
    bench = Bench(shop, warehouse)
    create_tables(bench, "inet", *(f"('10.0.0.{number}', 1)" for number in range(100)), source="inet")
    bench.at_source("INSERT INTO s SELECT '10.0.1.0'::inet + n, 1 FROM generate_series(1, 100) n")
    missing, extra, different = counts(compare(bench, sample=50))
    assert missing > 0
    assert extra > 0
    assert different == 0


def test_key_lookups_keep_to_the_pace_of_the_comparison(bench: Bench) -> None:
    create_tables(bench, "interval")
    bench.at_source(f"INSERT INTO s {NUMBERS.format(600)} SELECT '01:00:00', n FROM i")
    with_lookups, without_lookups = CountingPace(), CountingPace()
    assert counts(compare(bench, pace=with_lookups)) == (600, 0, 0)
    bench.at_destination("ALTER TABLE sync.t ALTER k TYPE text")
    assert counts(compare(bench, pace=without_lookups)) == (600, 0, 0)
    # 500 keys are looked up in one statement
    assert with_lookups.statements == without_lookups.statements + 2


def test_an_invalid_statement_is_not_retried_key_by_key(bench: Bench) -> None:
    # a type without an equality operator
    create_tables(bench, "point")
    bench.at_source(f"INSERT INTO s {NUMBERS.format(300)} SELECT '(1,2)', n FROM i")
    pace = CountingPace()
    with pytest.raises(QueryInvalid, match="point"):
        compare(bench, pace=pace)
    assert pace.statements < 10


def test_keys_that_are_invalid_in_the_destination_are_missing(bench: Bench) -> None:
    create_tables(bench, "interval")
    bench.at_source("INSERT INTO s VALUES ('never', 1), ('ever', 1)")
    assert counts(compare(bench)) == (2, 0, 0)


def test_only_a_part_of_many_invalid_keys_is_looked_up(bench: Bench) -> None:
    create_tables(bench, "interval", "('1 day', 0)")
    bench.at_source(
        f"INSERT INTO s {NUMBERS.format(600)} SELECT 'never', n FROM i", "INSERT INTO s VALUES ('24:00:00', 0)"
    )
    pace = CountingPace()
    result = compare(bench, pace=pace)
    missing, extra, different = counts(result)
    assert (missing + different, extra + different) == (601, 1)
    assert UNPAIRED in " ".join(result.warnings)
    assert pace.statements < 500


@pytest.mark.parametrize(
    ("key", "number", "source_row", "dest_row"),
    [
        ("interval", "varchar(3)", ("24:00:00", "'abcd'"), ("1 day", "'abc'")),
        ("interval(0)", "integer", ("00:00:01.4", "1"), ("00:00:01", "1")),
    ],
)
def test_a_key_that_is_equal_only_after_a_lossy_cast_is_missing(
    bench: Bench, key: str, number: str, source_row: tuple[str, str], dest_row: tuple[str, str]
) -> None:
    create_tables(bench, key, f"('{dest_row[0]}', {dest_row[1]})", number=number)
    bench.at_source(f"INSERT INTO s VALUES ('{source_row[0]}', {source_row[1]})")
    assert counts(compare(bench)) == (1, 1, 0)


@pytest.mark.parametrize(
    "number",
    [
        "double precision",
        "char(5)",
        *(pytest.param(name) for name in ("numeric", "varchar(3)")),
    ],
)
def test_other_key_columns_may_be_spelled_differently_on_each_side(bench: Bench, number: str) -> None:
    create_tables(bench, "interval", "('1 day', 1)", "('2 days', 1)", number=number)
    bench.at_source("INSERT INTO s VALUES ('24:00:00', 1), ('48:00:00', 1)")
    assert counts(compare(bench)) == (0, 0, 2)


def test_two_spellings_of_one_key_at_the_source_are_named_in_the_error(bench: Bench) -> None:
    create_tables(bench, "interval", "('1 day', 1)")
    bench.at_source("INSERT INTO s VALUES ('24:00:00', 1), ('1440 minutes', 1)")
    with pytest.raises(NotSupported, match="“24:00:00”, “1” and “1440 minutes”, “1” are both at the source"):
        compare(bench)


def test_a_repair_above_the_limit_replaces_a_row_in_another_spelling(bench: Bench) -> None:
    create_tables(bench, "interval", "('1 day', 0)", "('2 days', 0)")
    bench.at_source(
        "INSERT INTO s VALUES ('24:00:00', 0)",
        f"INSERT INTO s {NUMBERS.format(10_000)} SELECT '01:00:00', n FROM i",
    )
    bench.run(repair_plan(bench.plan(QUERY, merge_key=("k", "n")), compare(bench)))
    assert bench.rows("SELECT count(*), count(DISTINCT (k, n)) FROM sync.t") == [(10_001, 10_001)]
    assert bench.rows("SELECT n FROM sync.t WHERE k = '1 day'") == [(0,)]
    assert bench.rows("SELECT n FROM sync.t WHERE k = '2 days'") == []


@pytest.mark.parametrize(("kind", "value"), [("timestamptz", "2026-07-01 12:00:00.5+00"), ("boolean", "1")])
def test_other_key_columns_may_be_timestamps_or_booleans(bench: Bench, kind: str, value: str) -> None:
    create_tables(bench, "interval", f"('1 day', '{value}')", number=kind)
    bench.at_source(f"INSERT INTO s VALUES ('24:00:00', '{value}')")
    assert counts(compare(bench)) == (0, 0, 1)
