"""Verification reports exactly the rows that are missing, extra or different, in every pair of systems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from connections.sdk.errors import ColumnMissing, ConfigurationInvalid, InvalidValue, TableMissing
from connections.sdk.parameters import ConnectionParameters
from runs.engine.plan import Strategy
from runs.engine.verify.plan_repair import repair_plan
from tests.harness.bench import Bench
from tests.harness.verification import counts, run_verification

pytestmark = pytest.mark.usefixtures("transfer_in_process")

QUERY = "SELECT id AS id, name AS name, price AS price FROM s"
KINDS = ("postgresql", "sqlite", "duckdb")


@pytest.fixture
def system(tmp_path: Path, new_database: Callable[[], str]) -> Callable[[str, str], ConnectionParameters]:
    def create(kind: str, name: str) -> ConnectionParameters:
        if kind == "postgresql":
            return ConnectionParameters(kind=kind, url=new_database(), name=name)
        url = f"jdbc:{kind}:{tmp_path / f'{name}_of_test.db'}"
        return ConnectionParameters(kind=kind, url=url, options={"create": True}, name=name)

    return create


def _pair(source: str, destination: str) -> object:
    """Return a parameter for the pair; all but two, one for each way of comparing, belong to the long matrix."""
    always = {("postgresql", "postgresql"), ("sqlite", "postgresql")}
    marks = () if (source, destination) in always else pytest.mark.matrix
    return pytest.param((source, destination), marks=marks, id=f"{source}-{destination}")


@pytest.fixture(params=[_pair(source, destination) for source in KINDS for destination in KINDS])
def pair(request: pytest.FixtureRequest, system: Callable[[str, str], ConnectionParameters]) -> Bench:
    """Every source with every destination, with the same 300 rows in both."""
    source, destination = request.param
    bench = Bench(system(source, "source"), system(destination, "destination"))
    rows = (
        "INSERT INTO {} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
        " SELECT i, 'name ' || i, i + 0.25 FROM n"
    )
    columns = "(id integer, name varchar(40), price numeric(9,2))"
    bench.at_source(f"CREATE TABLE s {columns}", rows.format("s"))
    if destination != "sqlite":
        bench.at_destination("CREATE SCHEMA sync")
    bench.at_destination(f"CREATE TABLE {table_of(bench)} {columns}", rows.format(table_of(bench)))
    return bench


def table_of(bench: Bench) -> str:
    return '"sync.t"' if bench.destination.kind == "sqlite" else "sync.t"


@pytest.mark.default_cases(1)
def test_equal_tables_are_reported_as_equal(pair: Bench) -> None:
    result = run_verification(pair, QUERY)
    assert counts(result) == (0, 0, 0)
    assert (result.comparison.source_rows, result.comparison.dest_rows) == (300, 300)


@pytest.mark.default_cases(1)
def test_every_kind_of_difference_is_counted_with_its_key(pair: Bench) -> None:
    table = table_of(pair)
    pair.at_destination(
        f"DELETE FROM {table} WHERE id IN (7, 8)",
        f"INSERT INTO {table} VALUES (-5, 'new', 1.5)",
        f"INSERT INTO {table} VALUES (1000, NULL, NULL)",
        f"UPDATE {table} SET price = 3.5, name = NULL WHERE id = 150",
    )
    outcome = run_verification(pair, QUERY).comparison
    assert (outcome.counts.missing, outcome.counts.extra, outcome.counts.different) == (2, 2, 1)
    assert [key.key for key in outcome.missing] == [("7",), ("8",)]
    assert {key.key for key in outcome.extra} == {("-5",), ("1000",)}
    assert {(value.key, value.column, value.source, value.destination) for value in outcome.different} == {
        (("150",), "name", "name 150", None),
        (("150",), "price", "150.25", "3.50"),
    }


@pytest.mark.default_cases(1)
def test_duplicate_rows_are_extra(pair: Bench) -> None:
    table = table_of(pair)
    pair.at_destination(
        f"CREATE TABLE twice AS SELECT * FROM {table}",
        f"DROP TABLE {table}",
        f"CREATE TABLE {table} AS SELECT * FROM twice UNION ALL SELECT * FROM twice WHERE id < 4",
    )
    assert counts(run_verification(pair, QUERY)) == (0, 3, 0)


@pytest.mark.default_cases(1)
def test_only_the_given_columns_are_compared(pair: Bench) -> None:
    table = table_of(pair)
    pair.at_destination(f"UPDATE {table} SET name = 'other' WHERE id = 3")
    assert counts(run_verification(pair, QUERY, columns=("price",))) == (0, 0, 0)
    assert counts(run_verification(pair, QUERY, columns=("name",))) == (0, 0, 1)


@pytest.mark.default_cases(1)
def test_rows_before_since_are_not_compared(pair: Bench) -> None:
    table = table_of(pair)
    pair.at_destination(f"DELETE FROM {table} WHERE id IN (7, 250)")
    result = run_verification(pair, QUERY, watermark="id", since="200")
    assert counts(result) == (1, 0, 0)
    assert (result.comparison.source_rows, result.comparison.dest_rows) == (101, 100)


def test_a_since_that_is_no_value_of_the_column_is_refused_with_a_hint(pair: Bench) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        run_verification(pair, QUERY, watermark="id", since="2 days")
    assert "“2 days” is not a number." in caught.value.message
    assert caught.value.hint.startswith("id is a column of type ")
    assert caught.value.hint.endswith("write a number such as 4000. Intervals are for dates and timestamps.")


@pytest.mark.default_cases(1)
def test_tables_with_a_text_key_are_compared_without_ranges(pair: Bench) -> None:
    table = table_of(pair)
    pair.at_destination(f"DELETE FROM {table} WHERE id = 7", f"UPDATE {table} SET price = 0 WHERE id = 9")
    outcome = run_verification(pair, QUERY, merge_key=("name", "id")).comparison
    assert (outcome.counts.missing, outcome.counts.extra, outcome.counts.different) == (1, 0, 1)
    assert [key.key for key in outcome.missing] == [("name 7", "7")]


@pytest.mark.default_cases(1)
def test_tables_without_a_key_are_compared_by_whole_rows(pair: Bench) -> None:
    table = table_of(pair)
    pair.at_destination(
        f"CREATE TABLE once AS SELECT * FROM {table}",
        f"DROP TABLE {table}",
        f"CREATE TABLE {table} AS SELECT * FROM once",
        f"UPDATE {table} SET price = 0 WHERE id = 9",
    )
    assert counts(run_verification(pair, QUERY, merge_key=(), strategy=Strategy.FULL)) == (1, 1, 0)


@pytest.mark.default_cases(1)
def test_rows_with_null_keys_are_compared(pair: Bench) -> None:
    pair.at_source("INSERT INTO s VALUES (NULL, 'no key', 1)")
    assert counts(run_verification(pair, QUERY)) == (1, 0, 0)


@pytest.mark.default_cases(1)
def test_all_rows_are_missing_in_an_empty_destination(pair: Bench) -> None:
    table = table_of(pair)
    pair.at_destination(f"DELETE FROM {table}")
    assert counts(run_verification(pair, QUERY)) == (300, 0, 0)


@pytest.mark.matrix
def test_the_lowest_and_highest_64_bit_keys_are_compared(pg_bench: Bench) -> None:
    pg_bench.at_source(
        "CREATE TABLE s (id bigint, name text, price numeric)",
        "INSERT INTO s VALUES (-9223372036854775808, 'low', 1), (9223372036854775807, 'high', 1), (0, 'mid', 1)",
    )
    pg_bench.run(pg_bench.plan(QUERY, strategy=Strategy.UPSERT, merge_key=("id",)))
    assert counts(run_verification(pg_bench, QUERY)) == (0, 0, 0)
    pg_bench.at_destination("DELETE FROM sync.t WHERE id <> 0")
    assert counts(run_verification(pg_bench, QUERY)) == (2, 0, 0)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dest_row", ["('NaN', 'other', 1)", "(2, 'two', 1)"])
def test_a_key_that_is_nan_is_compared(pg_bench: Bench, dest_row: str) -> None:
    columns = "(id numeric(10,0), name text, price numeric)"
    pg_bench.at_source(f"CREATE TABLE s {columns}", "INSERT INTO s VALUES ('NaN', 'a', 1), (1, 'b', 1), (2, 'two', 1)")
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        f"CREATE TABLE sync.t {columns}",
        f"INSERT INTO sync.t VALUES (1, 'b', 1), {dest_row}",
    )
    result = run_verification(pg_bench, QUERY)
    assert counts(result) == ((1, 0, 1) if "NaN" in dest_row else (1, 0, 0))
    pg_bench.run(repair_plan(pg_bench.plan(QUERY, strategy=Strategy.UPSERT, merge_key=("id",)), result))
    assert counts(run_verification(pg_bench, QUERY)) == (0, 0, 0)


def test_a_key_in_an_integer_column_that_is_no_integer_is_named_in_the_error(bench: Bench, tmp_path: Path) -> None:
    url = f"jdbc:sqlite:{tmp_path / 'destination.db'}"
    bench.destination = ConnectionParameters(kind="sqlite", url=url, options={"create": True}, name="destination")
    columns = "(id INTEGER, name TEXT, price TEXT)"
    bench.at_source(f"CREATE TABLE s {columns}", "INSERT INTO s VALUES (1, 'a', 'b')")
    bench.at_destination(
        f'CREATE TABLE "sync.t" {columns}', """INSERT INTO "sync.t" VALUES (1, 'a', 'b'), ('abc', 'a', 'b')"""
    )
    with pytest.raises(InvalidValue, match="abc"):
        run_verification(bench, QUERY)


@pytest.mark.matrix
def test_differences_in_a_table_of_1200_columns_are_shown(pg_bench: Bench) -> None:
    columns = ", ".join(f"c{number} integer" for number in range(1200))
    pg_bench.at_source(f"CREATE TABLE s (id integer, {columns})", "INSERT INTO s (id, c7, c1100) VALUES (1, 1, 2)")
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        f"CREATE TABLE sync.t (id integer, {columns})",
        "INSERT INTO sync.t (id, c7, c1100) VALUES (1, 1, 3)",
    )
    different = run_verification(pg_bench, "SELECT * FROM s").comparison.different
    assert [(value.column, value.source, value.destination) for value in different] == [("c1100", "2", "3")]


def test_a_missing_destination_table_is_an_error_that_hints_at_the_first_run(bench: Bench) -> None:
    bench.at_source("CREATE TABLE s (id integer, name text, price numeric)")
    with pytest.raises(TableMissing, match="has not run yet"):
        run_verification(bench, QUERY)


@pytest.mark.matrix
def test_unknown_columns_are_refused(pair: Bench) -> None:
    with pytest.raises(ColumnMissing, match="no column “prise”"):
        run_verification(pair, QUERY, columns=("prise",))


@pytest.mark.matrix
def test_tens_of_thousands_of_differences_are_counted_exactly(pg_bench: Bench) -> None:
    pg_bench.at_source(
        "CREATE TABLE s AS SELECT i AS id, 'name ' || i AS name, i + 0.5 AS price FROM generate_series(1, 60000) i"
    )
    plan = pg_bench.plan(QUERY, strategy=Strategy.UPSERT, merge_key=("id",))
    pg_bench.run(replace(plan))
    pg_bench.at_destination(
        "UPDATE sync.t SET price = 0", "DELETE FROM sync.t WHERE id % 3 = 0", "INSERT INTO sync.t VALUES (99999, '', 0)"
    )
    assert counts(run_verification(pg_bench, QUERY)) == (20000, 1, 40000)
