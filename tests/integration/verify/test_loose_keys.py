"""Which keys are asked for at the destination, how often, and what is said where too many differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from connections.sdk.errors import NotSupported, QueryInvalid
from connections.sdk.parameters import ConnectionParameters
from runs.engine.verify.pace import Pace
from runs.engine.verify.repair import repair_plan
from runs.engine.verify.verify import Options, VerificationResult, verify
from tests.benches.bench import Bench
from tests.benches.verification import counts

QUERY = "SELECT k AS k, n AS n FROM s"
NUMBERS = "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < {})"
UNPAIRED = "may be counted as missing and extra"


@dataclass(kw_only=True)
class CountingPace(Pace):
    """Counts the statements that waited for their turn."""

    per_second: float = 100_000
    statements: int = 0

    def wait(self) -> None:
        self.statements += 1
        super().wait()


def tables(bench: Bench, key: str, *rows: str, number: str = "integer", source: str = "text") -> None:
    """Make an empty source `s` and a destination with the rows, whose columns are `k` and `n`."""
    bench.at_source(f"CREATE TABLE s (k {source}, n {'real' if 'double' in number else number})")
    bench.at_destination(
        "CREATE SCHEMA IF NOT EXISTS sync",
        "CREATE TYPE mood AS ENUM ('happy', 'sad')",
        f"CREATE TABLE sync.t (k {key}, n {number})",
        *(f"INSERT INTO sync.t VALUES {row}" for row in rows),
    )


def compared(bench: Bench, key: tuple[str, ...] = ("k", "n"), **options: Any) -> VerificationResult:
    return verify(bench.plan(QUERY, merge_key=key), Options(**{"pace": CountingPace(), **options}))


def test_a_module_with_an_enum_in_its_key_that_has_not_run_yet_is_counted(bench: Bench) -> None:
    tables(bench, "mood")
    bench.at_source(f"INSERT INTO s {NUMBERS.format(10_001)} SELECT 'happy', n FROM i")
    found = compared(bench)
    assert counts(found) == (10_001, 0, 0)
    assert UNPAIRED not in " ".join(found.warnings)


def test_a_sample_of_rows_named_by_an_enum_may_differ(bench: Bench) -> None:
    tables(bench, "mood", *(f"('sad', {number})" for number in range(100)))
    bench.at_source(f"INSERT INTO s {NUMBERS.format(100)} SELECT 'happy', n FROM i")
    missing, extra, different = counts(compared(bench, sample=50))
    assert missing > 0
    assert extra > 0
    assert different == 0


def test_above_the_limit_the_counts_are_kept_with_a_warning(bench: Bench) -> None:
    tables(bench, "interval", "('1 day', 0)")
    bench.at_source(
        "INSERT INTO s VALUES ('24:00:00', 0)",
        f"INSERT INTO s {NUMBERS.format(10_000)} SELECT '01:00:00', n FROM i",
    )
    found = compared(bench)
    assert counts(found) == (10_001, 1, 0)
    assert UNPAIRED in " ".join(found.warnings)


def test_an_enum_of_duckdb_is_as_exact(erp: Any, warehouse_of: Callable[[str], ConnectionParameters]) -> None:
    bench = Bench(erp, warehouse_of("duckdb"))
    tables(bench, "mood", *(f"('sad', {number})" for number in range(20)))
    bench.at_source(f"INSERT INTO s {NUMBERS.format(20)} SELECT 'happy', n FROM i")
    missing, extra, different = counts(compared(bench, sample=19))
    assert missing > 0
    assert extra > 0
    assert different == 0


@pytest.mark.matrix
def test_without_an_extra_row_none_can_be_there_in_another_spelling(bench: Bench) -> None:
    tables(bench, "interval")
    bench.at_source(f"INSERT INTO s {NUMBERS.format(10_001)} SELECT '01:00:00', n FROM i")
    found = compared(bench)
    assert counts(found) == (10_001, 0, 0)
    assert UNPAIRED not in " ".join(found.warnings)


def test_what_another_system_writes_otherwise_is_the_same_address(bench: Bench) -> None:
    tables(bench, "inet", "('fe80::1', 1)")
    bench.at_source("INSERT INTO s VALUES ('FE80::1/128', 1)")
    assert counts(compared(bench)) == (0, 0, 1)


def test_of_one_system_an_address_is_written_in_one_way(shop: Any, warehouse: ConnectionParameters) -> None:
    bench = Bench(shop, warehouse)
    tables(bench, "inet", *(f"('10.0.0.{number}', 1)" for number in range(100)), source="inet")
    bench.at_source("INSERT INTO s SELECT '10.0.1.0'::inet + n, 1 FROM generate_series(1, 100) n")
    missing, extra, different = counts(compared(bench, sample=50))
    assert missing > 0
    assert extra > 0
    assert different == 0


def test_keys_are_asked_for_at_the_pace_of_the_comparison(bench: Bench) -> None:
    tables(bench, "interval")
    bench.at_source(f"INSERT INTO s {NUMBERS.format(600)} SELECT '01:00:00', n FROM i")
    asked, alone = CountingPace(), CountingPace()
    assert counts(compared(bench, pace=asked)) == (600, 0, 0)
    bench.at_destination("ALTER TABLE sync.t ALTER k TYPE text")
    assert counts(compared(bench, pace=alone)) == (600, 0, 0)
    # by 500
    assert asked.statements == alone.statements + 2


def test_a_statement_that_is_wrong_by_itself_is_not_tried_key_by_key(bench: Bench) -> None:
    # a type without an equality
    tables(bench, "point")
    bench.at_source(f"INSERT INTO s {NUMBERS.format(300)} SELECT '(1,2)', n FROM i")
    pace = CountingPace()
    with pytest.raises(QueryInvalid, match="point"):
        compared(bench, pace=pace)
    assert pace.statements < 10


def test_keys_that_are_all_invalid_are_missing(bench: Bench) -> None:
    tables(bench, "interval")
    bench.at_source("INSERT INTO s VALUES ('never', 1), ('ever', 1)")
    assert counts(compared(bench)) == (2, 0, 0)


def test_many_invalid_keys_are_not_all_looked_for(bench: Bench) -> None:
    tables(bench, "interval", "('1 day', 0)")
    bench.at_source(
        f"INSERT INTO s {NUMBERS.format(600)} SELECT 'never', n FROM i", "INSERT INTO s VALUES ('24:00:00', 0)"
    )
    pace = CountingPace()
    found = compared(bench, pace=pace)
    missing, extra, different = counts(found)
    assert (missing + different, extra + different) == (601, 1)
    assert UNPAIRED in " ".join(found.warnings)
    assert pace.statements < 500


@pytest.mark.parametrize(
    ("key", "number", "mine", "theirs"),
    [
        ("interval", "varchar(3)", ("24:00:00", "'abcd'"), ("1 day", "'abc'")),
        ("interval(0)", "integer", ("00:00:01.4", "1"), ("00:00:01", "1")),
    ],
)
def test_a_key_that_only_a_cast_makes_equal_is_missing(
    bench: Bench, key: str, number: str, mine: tuple[str, str], theirs: tuple[str, str]
) -> None:
    tables(bench, key, f"('{theirs[0]}', {theirs[1]})", number=number)
    bench.at_source(f"INSERT INTO s VALUES ('{mine[0]}', {mine[1]})")
    assert counts(compared(bench)) == (1, 1, 0)


@pytest.mark.parametrize(
    "number",
    [
        "double precision",
        "char(5)",
        *(pytest.param(name, marks=pytest.mark.matrix) for name in ("numeric", "varchar(3)")),
    ],
)
def test_the_rest_of_a_key_may_be_written_otherwise_on_each_side(bench: Bench, number: str) -> None:
    tables(bench, "interval", "('1 day', 1)", "('2 days', 1)", number=number)
    bench.at_source("INSERT INTO s VALUES ('24:00:00', 1), ('48:00:00', 1)")
    assert counts(compared(bench)) == (0, 0, 2)


def test_two_spellings_of_one_row_at_the_source_are_named(bench: Bench) -> None:
    tables(bench, "interval", "('1 day', 1)")
    bench.at_source("INSERT INTO s VALUES ('24:00:00', 1), ('1440 minutes', 1)")
    with pytest.raises(NotSupported, match="“24:00:00”, “1” and “1440 minutes”, “1” are both at the source"):
        compared(bench)


@pytest.mark.matrix
def test_a_repair_above_the_limit_takes_another_spelling_for_the_same_row(bench: Bench) -> None:
    tables(bench, "interval", "('1 day', 0)", "('2 days', 0)")
    bench.at_source(
        "INSERT INTO s VALUES ('24:00:00', 0)",
        f"INSERT INTO s {NUMBERS.format(10_000)} SELECT '01:00:00', n FROM i",
    )
    bench.run(repair_plan(bench.plan(QUERY, merge_key=("k", "n")), compared(bench)))
    assert bench.rows("SELECT count(*), count(DISTINCT (k, n)) FROM sync.t") == [(10_001, 10_001)]
    assert bench.rows("SELECT n FROM sync.t WHERE k = '1 day'") == [(0,)]
    assert bench.rows("SELECT n FROM sync.t WHERE k = '2 days'") == []


@pytest.mark.parametrize(("kind", "value"), [("timestamptz", "2026-07-01 12:00:00.5+00"), ("boolean", "1")])
def test_the_rest_of_a_key_may_be_a_time_or_a_boolean(bench: Bench, kind: str, value: str) -> None:
    tables(bench, "interval", f"('1 day', '{value}')", number=kind)
    bench.at_source(f"INSERT INTO s VALUES ('24:00:00', '{value}')")
    assert counts(compared(bench)) == (0, 0, 1)
