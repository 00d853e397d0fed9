"""Verification between PostgreSQL and a file: the server hashes its rows if possible, and finds all differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runs.engine.plan import NamedWatermark
from tests.harness.bench import Bench
from tests.harness.verification import run_verification, table_of, verify_on_server

pytestmark = [pytest.mark.matrix, pytest.mark.usefixtures("transfer_in_process")]

QUERY = "SELECT id AS id, name AS name, price AS price FROM s"
_MIXED = [
    pytest.param(("postgresql", "duckdb"), id="postgresql-duckdb"),
    pytest.param(("duckdb", "postgresql"), id="duckdb-postgresql"),
    pytest.param(("postgresql", "sqlite"), id="postgresql-sqlite"),
    pytest.param(("sqlite", "postgresql"), id="sqlite-postgresql"),
]
# type at the source, value, a different value that the destination can hold, in SQL that every system understands
_TYPES = {
    "g": ("bigint", "9223372036854775807", "9223372036854775806"),
    "s": ("smallint", "-32768", "0"),
    "n": ("decimal(9,2)", "-1234567.50", "-1234567.51"),
    "z": ("decimal(15,0)", "0", "-1"),
    "f": ("double precision", "0.1", "0.10000000000000002"),
    "b": ("boolean", "true", "false"),
    "t": ("varchar(9)", "'a b '", "'a b'"),
    "e": ("varchar(9)", "''", "NULL"),
    "o": ("varchar(9)", "NULL", "''"),
    "m": ("varchar(9)", "'é😀'", "'e😀'"),
    "d": ("date", "'1969-12-31'", "'1970-01-01'"),
    "ts": ("timestamp", "'2026-12-31 23:59:59.999999'", "'2026-12-31 23:59:59.999998'"),
}
# values in DuckDB's spelling that PostgreSQL has as well
_EXTREMES = {
    "date": ("'infinity'", "'-infinity'", "'0044-03-15 (BC)'", "'5874897-12-31'"),
    "timestamp": ("'infinity'", "'-infinity'", "'0044-03-15 (BC) 01:00:00'", "'294246-12-31 23:59:59.999999'"),
    "timestamptz": ("'infinity'", "'-infinity'", "'0044-03-15 (BC) 01:00:00+00'", "'1969-12-31 23:59:59.999999+00'"),
    "time": ("'00:00:00.000001'", "'24:00:00'"),
    "double precision": ("'NaN'", "'inf'", "'-inf'", "'-0'", "'5e-324'", "'1.7976931348623157e308'"),
    "real": ("'NaN'", "'inf'", "'-inf'", "'-0'", "'1e-45'", "'0.1'"),
    "numeric(38,38)": ("'0.00000000000000000000000000000000000001'", "'-0.1'"),
    "numeric(38,0)": ("'99999999999999999999999999999999999999'", "'-1'"),
}
_MORE = {
    "tz": ("timestamptz", "'2026-01-01 00:00:00+00:00'", "'2026-01-01 00:00:00.000001+00:00'"),
    "ti": ("time", "'00:00:00'", "'10:00:00.000001'"),
    "r": ("real", "1.1", "1.1000001"),
    "wide": ("decimal(38,10)", "1234567890123456789012345678.0000000001", "1234567890123456789012345678.0000000002"),
    "u": ("uuid", "'00000000-0000-0000-0000-0000000000aa'", "'00000000-0000-0000-0000-0000000000ab'"),
}  # fmt: skip


@pytest.fixture(params=_MIXED)
def pair(request: pytest.FixtureRequest, between: Callable[[str, str], Bench]) -> Bench:
    """PostgreSQL and a file, each as source and as destination, with the same 60 rows."""
    bench = between(*request.param)
    rows = (
        "INSERT INTO {} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)"
        " SELECT i, 'name ' || i, i + 0.25 FROM n"
    )
    bench.at_source("CREATE TABLE s (id integer, name varchar(40), price numeric(9,2))", rows.format("s"))
    bench.run(bench.plan(QUERY))
    return bench


def test_every_kind_of_difference_is_found_by_server_side_hashes(pair: Bench) -> None:
    table = table_of(pair)
    assert verify_on_server(pair, QUERY) == (0, 0, 0)
    pair.at_destination(
        f"DELETE FROM {table} WHERE id = 7",
        f"INSERT INTO {table} VALUES (1000, 'new', 1)",
        f"INSERT INTO {table} SELECT * FROM {table} WHERE id = 8",
        f"UPDATE {table} SET name = NULL WHERE id = 9",
        f"UPDATE {table} SET price = 21.25 WHERE id = 20",
        f"UPDATE {table} SET price = 20.25 WHERE id = 21",
    )
    outcome = run_verification(pair, QUERY).comparison
    assert (outcome.counts.missing, outcome.counts.extra, outcome.counts.different) == (1, 2, 3)
    assert [key.key for key in outcome.missing] == [("7",)]
    assert {key.key for key in outcome.extra} == {("8",), ("1000",)}
    assert {(value.key, value.column) for value in outcome.different} == {
        (("9",), "name"), (("20",), "price"), (("21",), "price")
    }  # fmt: skip


def test_a_row_with_more_columns_than_a_function_has_arguments_is_hashed(between: Callable[[str, str], Bench]) -> None:
    pair = between("postgresql", "duckdb")
    names = [f"c{number}" for number in range(250)]
    pair.at_source(
        f"CREATE TABLE s (id integer, {', '.join(f'{name} text' for name in names)})",
        "INSERT INTO s (id, c7, c248) VALUES (1, 'a', ''), (2, 'b', NULL)",
    )
    pair.run(pair.plan("SELECT * FROM s"))
    assert verify_on_server(pair, "SELECT * FROM s") == (0, 0, 0)
    pair.at_destination("UPDATE sync.t SET c248 = '' WHERE id = 2")
    assert [value.column for value in run_verification(pair, "SELECT * FROM s").comparison.different] == ["c248"]


def test_with_keep_latest_an_older_row_in_the_destination_is_different(between: Callable[[str, str], Bench]) -> None:
    pair = between("postgresql", "duckdb")
    pair.at_source(
        "CREATE TABLE s (id integer, w timestamp, v text)",
        "INSERT INTO s VALUES (1, '2024-01-10', 'new'), (1, '2024-01-02', 'old'), (1, NULL, 'none')",
    )
    pair.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id INTEGER, w TIMESTAMP, v VARCHAR)",
        "INSERT INTO sync.t VALUES (1, '2024-01-02', 'old')",
    )
    query = "SELECT id AS id, w AS w, v AS v FROM s"
    latest: dict[str, Any] = {"watermark": "w", "keep_latest": True}
    assert verify_on_server(pair, query, **latest) == (0, 0, 1)
    pair.at_destination("UPDATE sync.t SET w = '2024-01-10', v = 'new'")
    assert verify_on_server(pair, query, **latest) == (0, 0, 0)
    assert verify_on_server(pair, query, since="2024-01-11", **latest) == (0, 0, 0)


@pytest.mark.parametrize("source", ["postgresql", "duckdb"])
def test_rows_below_a_named_watermark_are_not_extra(between: Callable[[str, str], Bench], source: str) -> None:
    pair = between(source, "duckdb" if source == "postgresql" else "postgresql")
    pair.at_source("CREATE TABLE s (id integer, v text)", "INSERT INTO s VALUES (1, 'a'), (7, 'b'), (8, 'c')")
    pair.run(pair.plan("SELECT id AS id, v AS v FROM s"))
    pair.at_destination("DELETE FROM sync.t WHERE id = 7")
    low = NamedWatermark(name="low", connection=pair.source, resolver_sql="SELECT 6")
    query = "SELECT id AS id, v AS v FROM s WHERE id > {low}"
    assert verify_on_server(pair, query, named_watermarks=(low,)) == (1, 0, 0)


@pytest.mark.parametrize("strips", [True, pytest.param(False)])
def test_a_nul_character_is_a_difference_unless_it_is_stripped(
    between: Callable[[str, str], Bench], strips: bool
) -> None:
    pair = between("duckdb", "postgresql")
    pair.at_source("CREATE TABLE s (id integer, v varchar)", "INSERT INTO s VALUES (1, 'a' || chr(0) || 'b')")
    pair.at_destination(
        "CREATE SCHEMA sync", "CREATE TABLE sync.t (id integer, v text)", "INSERT INTO sync.t VALUES (1, 'ab')"
    )
    difference_counts = verify_on_server(pair, "SELECT id AS id, v AS v FROM s", strip_nul_bytes=strips)
    assert difference_counts == (0, 0, 0 if strips else 1)


@pytest.mark.parametrize(("destination", "different"), [("sqlite", 0), ("duckdb", 1)])
def test_a_negative_zero_is_compared_as_the_destination_stores_it(
    between: Callable[[str, str], Bench], destination: str, different: int
) -> None:
    pair = between("postgresql", destination)
    pair.at_source("CREATE TABLE s (id integer, v double precision)", "INSERT INTO s VALUES (1, '-0')")
    pair.run(pair.plan("SELECT id AS id, v AS v FROM s"))
    # DuckDB does not update a value with an equal one
    pair.at_destination(f"DELETE FROM {table_of(pair)}", f"INSERT INTO {table_of(pair)} VALUES (1, 0.0)")
    assert verify_on_server(pair, "SELECT id AS id, v AS v FROM s") == (0, 0, different)


def _change_each_column(bench: Bench, query: str, types: dict[str, tuple[str, str, str]]) -> Iterator[tuple[str, str]]:
    table = table_of(bench)
    for name, (_, value, other) in types.items():
        bench.at_destination(f"UPDATE {table} SET {name} = {other}")
        different = run_verification(bench, query).comparison.different
        yield name, ",".join(sorted({difference.column for difference in different}))
        bench.at_destination(f"UPDATE {table} SET {name} = {value}")


@pytest.mark.parametrize(("source", "destination"), [mark.values[0] for mark in _MIXED])
def test_every_type_is_compared_in_every_pair(
    between: Callable[[str, str], Bench], source: str, destination: str
) -> None:
    pair = between(source, destination)
    types = _TYPES if "sqlite" in (source, destination) else _TYPES | _MORE
    columns = ", ".join(f"{name} {native}" for name, (native, _, _) in types.items())
    values = ", ".join(value for _, value, _ in types.values())
    nulls = ", ".join("NULL" for _ in types)
    query = f"SELECT id AS id, {', '.join(f'{name} AS {name}' for name in types)} FROM s"
    pair.at_source(f"CREATE TABLE s (id integer, {columns})", f"INSERT INTO s VALUES (1, {values})")
    if destination == "postgresql":
        # the types of SQLite correspond to other types
        pair.at_destination("CREATE SCHEMA sync", f"CREATE TABLE sync.t (id bigint, {columns})")
    pair.run(pair.plan(query))
    assert verify_on_server(pair, query) == (0, 0, 0)
    assert list(_change_each_column(pair, query, types)) == [(name, name) for name in types]
    # a row of NULL
    pair.at_source("DELETE FROM s", f"INSERT INTO s VALUES (1, {nulls})")
    assert verify_on_server(pair, query) == (0, 0, 1)
    pair.run(pair.plan(query))
    assert verify_on_server(pair, query) == (0, 0, 0)


def test_extreme_values_are_equal_only_to_themselves(between: Callable[[str, str], Bench]) -> None:
    pair = between("duckdb", "postgresql")
    pair.at_destination("CREATE SCHEMA sync")
    for native, values in _EXTREMES.items():
        numbered = list(enumerate(values))
        texts = [(n, value.replace(" (BC)", "").replace("'", "")) for n, value in numbered]
        dest_rows = [(n, f"'{text} BC'" if "(BC)" in values[n] else f"'{text}'") for n, text in texts]
        for execute, table, rows in ((pair.at_source, "s", numbered), (pair.at_destination, "sync.t", dest_rows)):
            execute(f"DROP TABLE IF EXISTS {table}", f"CREATE TABLE {table} (id integer, v {native})")
            execute(*(f"INSERT INTO {table} VALUES ({n}, CAST({value} AS {native}))" for n, value in rows))
        assert verify_on_server(pair, "SELECT id AS id, v AS v FROM s") == (0, 0, 0), native
        pair.at_destination(f"UPDATE sync.t SET id = (id + 1) % {len(values)}")
        assert verify_on_server(pair, "SELECT id AS id, v AS v FROM s") == (0, 0, len(values)), native
