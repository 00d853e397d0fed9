"""Watermark types: those that cannot bound the next run are refused before the transfer; texts have a low bound."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connections import registry
from connections.sdk.errors import ConfigurationInvalid, DataError
from connections.sdk.types import DataType, Kind
from runs.engine.events import Staged
from runs.engine.plan import Plan, Strategy
from runs.engine.watermarks.bounds import Bound, predicate
from tests.harness.bench import Bench
from tests.harness.matrix import first_by_default

pytestmark = pytest.mark.usefixtures("transfer_in_process")

Between = Callable[[str, str], Bench]


def by_w(bench: Bench, **changes: object) -> Plan:
    return bench.plan(
        "SELECT k, w FROM s", **{"strategy": Strategy.UPSERT, "merge_key": ("k",), "watermark": "w", **changes}
    )


def keys(bench: Bench) -> list[int]:
    table = '"sync.t"' if bench.destination.kind == "sqlite" else "sync.t"
    return [row[0] for row in bench.rows(f"SELECT k FROM {table} ORDER BY 1")]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("declared", "strategy"),
    [("text", Strategy.UPSERT), ("datetime", Strategy.INCREMENTAL), ("timestamp", Strategy.APPEND)],
)
def test_texts_with_offsets_are_compared_with_the_bound_of_a_timestamptz(
    between: Between, declared: str, strategy: Strategy
) -> None:
    bench = between("sqlite", "postgresql")
    bench.at_source(
        f"CREATE TABLE s (k integer primary key, w {declared})", "INSERT INTO s VALUES (1, '2024-01-01T23:00:00-05:00')"
    )
    bench.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.t (k bigint primary key, w timestamptz)")
    plan = by_w(bench, strategy=strategy)
    bench.run(plan)
    bench.at_source("INSERT INTO s VALUES (2, '2024-01-01T23:30:00-05:00')")
    # the bound is 2024-01-02 04:00 in UTC, which as a text sorts after the new row
    assert bench.run(plan).source_sql == "SELECT k, w FROM s WHERE w >= '2024-01-01'"
    assert keys(bench) == [1, 2]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("declared", "dest_type", "value"),
    [("datetime", "", "2024-01-01 10:00"), ("text", "timestamp", "2024-01-01 10:00"), ("time", "", "10:00")],
)
def test_times_without_seconds_are_read_again_with_their_ties(
    between: Between, declared: str, dest_type: str, value: str
) -> None:
    bench = between("sqlite", "postgresql")
    bench.at_source(f"CREATE TABLE s (k integer primary key, w {declared})", f"INSERT INTO s VALUES (1, '{value}')")
    if dest_type:
        bench.at_destination("CREATE SCHEMA sync", f"CREATE TABLE sync.t (k bigint primary key, w {dest_type})")
    bench.run(by_w(bench))
    bench.at_source(f"INSERT INTO s VALUES (2, '{value}')")
    bench.run(by_w(bench))
    assert keys(bench) == [1, 2]


def test_numbers_without_a_declared_type_can_have_a_text_destination(between: Between) -> None:
    bench = between("sqlite", "sqlite")
    bench.at_source("CREATE TABLE s (k integer, w)", "INSERT INTO s VALUES (1, 8)")
    bench.at_destination('CREATE TABLE "sync.t" (k integer, w text)')
    bench.run(by_w(bench))
    bench.at_source("INSERT INTO s VALUES (2, 9)")
    bench.run(by_w(bench))
    assert keys(bench) == [1, 2]


def test_seconds_since_1970_in_a_datetime_column_are_compared_as_numbers(between: Between) -> None:
    bench = between("sqlite", "postgresql")
    bench.at_source("CREATE TABLE s (k integer, w datetime)", "INSERT INTO s VALUES (1, 1700000000)")
    bench.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.t (k bigint, w bigint)")
    bench.run(by_w(bench))
    bench.at_source("INSERT INTO s VALUES (2, 1700000001)")
    assert bench.run(by_w(bench)).source_sql == "SELECT k, w FROM s WHERE w > 1700000000"
    assert keys(bench) == [1, 2]


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("declared", ["text", "datetime"])
@pytest.mark.parametrize("value", ["infinity", "0044-03-15 00:00:00 BC"])
def test_a_highest_value_that_cannot_be_compared_with_texts_is_an_error(
    between: Between, declared: str, value: str
) -> None:
    bench = between("sqlite", "postgresql")
    bench.at_source(f"CREATE TABLE s (k integer, w {declared})", "INSERT INTO s VALUES (1, '2024-01-01')")
    bench.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.t (k bigint, w timestamp)")
    bench.at_destination(f"INSERT INTO sync.t VALUES (9, '{value}')")
    with pytest.raises(DataError, match=f"“w” of the destination is “{value}"):
        bench.run(by_w(bench))


@pytest.mark.default_cases(2)
@pytest.mark.parametrize(
    ("dest", "native", "exists"),
    [
        ("postgresql", "boolean", True),
        ("postgresql", "boolean", False),
        ("postgresql", "uuid", True),
        ("postgresql", "uuid", False),
        ("postgresql", "jsonb", False),
        ("postgresql", "point", False),
        ("duckdb", "BOOLEAN", True),
        ("duckdb", "JSON", False),
        ("sqlite", "BOOLEAN", False),
    ],
)
def test_a_type_that_has_no_maximum_is_refused_before_the_transfer(
    between: Between, dest: str, native: str, exists: bool
) -> None:
    bench = between(dest, dest)
    bench.at_source(f"CREATE TABLE s (k integer, w {native})")
    if exists:
        name = '"sync.t"' if dest == "sqlite" else "sync.t"
        schema = [] if dest == "sqlite" else ["CREATE SCHEMA sync"]
        bench.at_destination(*schema, f"CREATE TABLE {name} (k integer, w {native})")
    with pytest.raises(ConfigurationInvalid, match="The watermark w ") as caught:
        bench.run(by_w(bench))
    assert "watermark_column" in caught.value.hint
    assert not [event for event in bench.failed.events if isinstance(event, Staged)]


def test_a_boolean_at_the_source_is_refused_even_if_the_destination_has_a_number(between: Between) -> None:
    bench = between("postgresql", "sqlite")
    bench.at_source("CREATE TABLE s (k integer, w boolean)")
    bench.at_destination('CREATE TABLE "sync.t" (k integer, w integer)')
    with pytest.raises(ConfigurationInvalid, match="is a boolean"):
        bench.run(by_w(bench))


@pytest.mark.parametrize("native", ["UUID", "INTERVAL"])
def test_a_text_that_is_another_type_in_the_destination_is_refused(between: Between, native: str) -> None:
    bench = between("sqlite", "duckdb")
    bench.at_source("CREATE TABLE s (k integer, w text)")
    bench.at_destination("CREATE SCHEMA sync", f"CREATE TABLE sync.t (k integer, w {native})")
    with pytest.raises(ConfigurationInvalid, match="text at the source"):
        bench.run(by_w(bench))


def test_an_interval_bounds_an_interval(between: Between) -> None:
    bench = between("postgresql", "postgresql")
    bench.at_source("CREATE TABLE s (k integer, w interval)", "INSERT INTO s VALUES (1, '9 days')")
    bench.run(by_w(bench))
    bench.at_source("INSERT INTO s VALUES (2, '10 days')")
    bench.run(by_w(bench))
    assert keys(bench) == [1, 2]


@pytest.mark.matrix
@pytest.mark.parametrize("dest", first_by_default(["duckdb", "sqlite", "postgresql"]))
def test_a_duckdb_enum_is_compared_in_the_order_of_its_members(between: Between, dest: str) -> None:
    bench = between("duckdb", dest)
    bench.at_source("CREATE TABLE s (k integer, w ENUM ('low', 'mid', 'hi''gh'))")
    for number, member in enumerate(["low", "mid", "hi''gh"]):
        bench.at_source(f"INSERT INTO s VALUES ({number}, '{member}')")
        bench.run(by_w(bench))
    # as texts 'high' sorts before both
    assert keys(bench) == [0, 1, 2]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("collation", "dest", "words"),
    [
        ("NOCASE", "text", ["a", "B", "b", "c"]),
        ("BINARY", "text COLLATE NOCASE", ["B", "C", "a", "b"]),
        ("RTRIM", "text", ["a", "a ", "a", "b"]),
    ],
)
def test_source_and_destination_may_have_different_collations(
    between: Between, collation: str, dest: str, words: list[str]
) -> None:
    bench = between("sqlite", "sqlite")
    bench.at_source(f"CREATE TABLE s (k integer, w text COLLATE {collation})")
    bench.at_destination(f'CREATE TABLE "sync.t" (k integer, w {dest})')
    # each is at or above all earlier ones, as the source sorts them
    for number, word in enumerate(words):
        bench.at_source(f"INSERT INTO s VALUES ({number}, '{word}')")
        bench.run(by_w(bench))
    assert keys(bench) == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", registry.kinds())
@pytest.mark.parametrize(
    ("value", "dest", "overlap", "lower_bound"),
    [
        ("2024-01-02 04:00:00+00", Kind.TIMESTAMPTZ, "", "2024-01-01"),
        ("2024-01-02 04:00:00+00", Kind.TIMESTAMPTZ, "5 hours", "2023-12-31"),
        ("2024-01-02 04:00:00", Kind.TIMESTAMP, "", "2024-01-02 04"),
        ("2024-01-02 04:00:00", Kind.TIMESTAMP, "30 minutes", "2024-01-02 03:30"),
        ("04:30:00", Kind.TIME, "", "04:30"),
        ("abc", Kind.TEXT, "", "abc"),
    ],
)
def test_every_system_compares_its_texts_with_the_lowest_form_of_the_bound(
    kind: str, value: str, dest: Kind, overlap: str, lower_bound: str
) -> None:
    dialect, text = registry.dialect(kind), DataType(kind=Kind.TEXT, native="text")
    bound = Bound(column="w", value=value, data_type=DataType(kind=dest))
    condition = predicate("w", bound, dialect=dialect, source_type=text, overlap=overlap)
    assert condition == f"w >= {dialect.string(lower_bound)}"
