"""The bound that an incremental run adds to the source query, checked in the query's text and the rows it returns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connections.sdk.errors import ColumnMissing, ConfigurationInvalid, DataError
from runs.engine.plan import NamedWatermark, Plan, Strategy
from runs.engine.watermarks.bounds import is_null
from tests.harness.bench import Bench

pytestmark = pytest.mark.usefixtures("transfer_in_process")

TABLE = 'CREATE TABLE QCRH ("DCORD#" INTEGER, DCOTYP CHAR(5), DCODAT DATE)'


@pytest.fixture
def orders(bench: Bench) -> Bench:
    bench.at_source(TABLE, "INSERT INTO QCRH VALUES (12345, 'A', '2026-01-01'), (12346, 'FROM', '2026-01-02')")
    bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (dcord int PRIMARY KEY, dcotyp text)",
        "INSERT INTO sync.t VALUES (12345, 'A')",
    )
    return bench


def by_number(bench: Bench, query: str) -> Plan:
    return bench.plan(query, strategy=Strategy.INCREMENTAL, merge_key=("dcord",), watermark="dcord")


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            'SELECT "DCORD#" AS dcord, DCOTYP AS dcotyp FROM QCRH',
            'SELECT "DCORD#" AS dcord, DCOTYP AS dcotyp FROM QCRH WHERE "DCORD#" > 12345',
        ),
        (
            "SELECT \"DCORD#\" dcord, DCOTYP FROM QCRH WHERE DCOTYP = 'FROM' OR 1 = 1",
            'SELECT "DCORD#" dcord, DCOTYP FROM QCRH WHERE (DCOTYP = \'FROM\' OR 1 = 1) AND "DCORD#" > 12345',
        ),
    ],
)
def test_the_bound_is_compared_with_the_expression_of_the_source_query(
    orders: Bench, query: str, expected: str
) -> None:
    result = orders.run(by_number(orders, query))
    assert result.source_sql == expected
    assert orders.rows() == [(12345, "A"), (12346, "FROM")]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    "query",
    [
        'SELECT "DCORD#" AS dcord, DCOTYP AS dcotyp FROM QCRH ORDER BY DCOTYP DESC',
        'SELECT "DCORD#" AS dcord, DCOTYP AS dcotyp FROM QCRH -- WHERE is in this comment',
        "SELECT \"DCORD#\" AS dcord, 'FROM' AS dcotyp FROM QCRH /* FROM */ WHERE DCOTYP <> 'x -- FROM' ;",
        'SELECT q.n AS dcord, q.t AS dcotyp FROM (SELECT "DCORD#" AS n, DCOTYP AS t FROM QCRH) q',
        'WITH q AS (SELECT "DCORD#" AS n, DCOTYP AS t FROM QCRH WHERE 1 = 1) SELECT n AS dcord, t AS dcotyp FROM q',
        "SELECT \"DCORD#\" AS dcord, DCOTYP AS dcotyp FROM QCRH UNION SELECT 1, 'old' FROM QCRH WHERE 1 = 0",
        'SELECT "DCORD#" AS dcord, max(DCOTYP) AS dcotyp FROM QCRH GROUP BY "DCORD#"',
        'SELECT DISTINCT "DCORD#" AS dcord, DCOTYP AS dcotyp FROM QCRH',
        'SELECT "DCORD#" AS dcord, DCOTYP AS dcotyp FROM QCRH ORDER BY 1 LIMIT 5',
    ],
)
def test_a_query_of_any_shape_returns_exactly_the_new_rows(orders: Bench, query: str) -> None:
    result = orders.run(by_number(orders, query))
    assert "> 12345" in result.source_sql
    assert result.counts == (1, 0, 0)
    assert [row[0] for row in orders.rows()] == [12345, 12346]


def test_a_date_watermark_is_compared_with_at_least(orders: Bench) -> None:
    orders.at_destination("ALTER TABLE sync.t ADD COLUMN dcodat date", "UPDATE sync.t SET dcodat = '2026-01-01'")
    query = 'SELECT "DCORD#" AS dcord, DCOTYP AS dcotyp, DCODAT AS dcodat FROM QCRH'
    plan = orders.plan(query, strategy=Strategy.INCREMENTAL, merge_key=("dcord",), watermark="dcodat")
    result = orders.run(plan)
    assert result.source_sql == query + " WHERE DCODAT >= '2026-01-01'"
    assert result.counts == (1, 1, 0)


def test_an_empty_destination_reads_all_rows(orders: Bench) -> None:
    orders.at_destination("DELETE FROM sync.t")
    query = 'SELECT "DCORD#" AS dcord, DCOTYP AS dcotyp FROM QCRH'
    result = orders.run(by_number(orders, query))
    assert result.source_sql == query
    assert result.counts == (2, 0, 0)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("text", ["", "∅", "NULL", "null", "(null)", "[NULL]", "<null>", "None", "\\N", "  "])
def test_a_text_that_spells_null_reads_all_rows(bench: Bench, text: str) -> None:
    bench.at_source("CREATE TABLE s (k INTEGER, w TEXT)", "INSERT INTO s VALUES (1, 'a')")
    bench.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.t (k bigint, w text)")
    quoted = text.replace("'", "''")
    bench.at_destination(f"INSERT INTO sync.t VALUES (9, '{quoted}')")
    query = "SELECT k, w FROM s"
    result = bench.run(bench.plan(query, strategy=Strategy.INCREMENTAL, merge_key=("k",), watermark="w"))
    assert is_null(text)
    assert result.source_sql == query
    assert result.counts == (1, 0, 0)


def test_an_overlap_moves_the_bound_back_and_keeps_every_digit(bench: Bench) -> None:
    bench.at_source("CREATE TABLE s (k DECIMAL(20,10), v TEXT)", "INSERT INTO s VALUES (5, 'x')")
    bench.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.t (k numeric(38,10), v text)")
    bench.at_destination("INSERT INTO sync.t VALUES (12345678901234567890.1234567891, 'y')")
    plan = bench.plan(
        "SELECT k, v FROM s", strategy=Strategy.INCREMENTAL, merge_key=("k",), watermark="k", overlap="1000"
    )
    assert bench.run(plan).source_sql == "SELECT k, v FROM s WHERE k >= 12345678901234566890.1234567891"


def test_microseconds_reach_the_source_unrounded(pg_bench: Bench) -> None:
    pg_bench.at_source(
        "CREATE TABLE s (k int, at timestamptz)",
        "INSERT INTO s VALUES (1, '2026-01-31 23:59:59.999999+02'), (2, '2026-01-31 22:00:00+00')",
    )
    plan = pg_bench.plan("SELECT k, at FROM s", strategy=Strategy.INCREMENTAL, merge_key=("k",), watermark="at")
    pg_bench.run(plan)
    pg_bench.at_source("INSERT INTO s VALUES (3, '2026-01-31 22:00:00.000001+00')")
    result = pg_bench.run(plan)
    assert result.source_sql == "SELECT k, at FROM s WHERE at >= '2026-01-31 22:00:00+00'::timestamptz"
    assert result.counts == (1, 1, 0)


def test_a_named_watermark_is_resolved_and_inserted_into_the_query(orders: Bench) -> None:
    named = NamedWatermark(
        name="since", connection=orders.destination, resolver_sql="SELECT max(dcord) FROM sync.t", default="0"
    )
    query = 'SELECT "DCORD#" AS dcord, DCOTYP AS dcotyp FROM QCRH WHERE "DCORD#" > {since}'
    result = orders.run(orders.plan(query, named_watermarks=(named,), force=True))
    assert result.source_sql == query.replace("{since}", "12345")
    assert [row[0] for row in orders.rows()] == [12346]


def test_a_resolver_that_returns_no_row_uses_the_default(orders: Bench) -> None:
    named = NamedWatermark(
        name="since",
        connection=orders.destination,
        resolver_sql="SELECT max(dcord) FROM sync.t WHERE false",
        default="7",
    )
    query = 'SELECT "DCORD#" AS dcord, DCOTYP AS dcotyp FROM QCRH WHERE "DCORD#" > {since}'
    assert orders.run(orders.plan(query, named_watermarks=(named,))).source_sql.endswith("> 7")


def test_a_resolver_that_returns_no_row_and_has_no_default_is_an_error(orders: Bench) -> None:
    named = NamedWatermark(name="since", connection=orders.destination, resolver_sql="SELECT 1 WHERE false")
    query = 'SELECT "DCORD#" AS dcord, DCOTYP AS dcotyp FROM QCRH WHERE "DCORD#" > {since}'
    with pytest.raises(ConfigurationInvalid, match=r"\{since\} has no value"):
        orders.run(orders.plan(query, named_watermarks=(named,)))


def test_a_named_watermark_that_the_query_does_not_use_is_not_resolved_and_causes_a_warning(orders: Bench) -> None:
    named = NamedWatermark(name="since", connection=orders.destination, resolver_sql="SELECT max(d) FROM nothere")
    result = orders.run(orders.plan('SELECT "DCORD#" AS dcord, DCOTYP AS dcotyp FROM QCRH', named_watermarks=(named,)))
    assert result.warnings == ["The watermark {since} is not used in the query, so it bounds nothing."]


def test_a_resolved_value_with_hostile_sql_is_quoted(orders: Bench) -> None:
    named = NamedWatermark(
        name="type", connection=orders.destination, resolver_sql="SELECT '''; DROP TABLE QCRH; --{type}'"
    )
    query = "SELECT \"DCORD#\" AS dcord, DCOTYP AS dcotyp FROM QCRH WHERE DCOTYP <> '{type}'"
    assert orders.run(orders.plan(query, named_watermarks=(named,))).counts == (2, 0, 1)


def test_a_watermark_column_that_the_destination_lacks_is_named_in_the_error(orders: Bench) -> None:
    plan = orders.plan(
        'SELECT "DCORD#" AS dcord, DCOTYP AS dcotyp FROM QCRH',
        strategy=Strategy.INCREMENTAL,
        merge_key=("dcord",),
        watermark="changed",
    )
    with pytest.raises(ColumnMissing, match="changed"):
        orders.run(plan)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("ending", [";", " ; -- that is all", "\n;\n/* end ; */ ", " -- no semicolon ;"])
def test_a_query_may_end_with_a_semicolon_or_a_comment(orders: Bench, ending: str) -> None:
    result = orders.run(by_number(orders, f'SELECT "DCORD#" AS dcord, DCOTYP AS dcotyp FROM QCRH{ending}'))
    assert result.counts == (1, 0, 0)


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("overlap", ["-2", "NaN", "Infinity", "2 days"])
def test_an_invalid_overlap_of_a_number_is_refused(orders: Bench, overlap: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="not a number of at least 0"):
        orders.run(replace(by_number(orders, 'SELECT "DCORD#" AS dcord, DCOTYP AS dcotyp FROM QCRH'), overlap=overlap))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("native", "value"),
    [("numeric", "NaN"), ("double precision", "Infinity"), ("timestamp", "infinity"), ("date", "0044-03-15 BC")],
)
def test_a_highest_value_that_cannot_bound_a_query_is_named_with_its_column(
    pg_bench: Bench, native: str, value: str
) -> None:
    pg_bench.at_source(f"CREATE TABLE s (k int, w {native})", f"INSERT INTO s VALUES (1, '{value}')")
    plan = pg_bench.plan("SELECT k, w FROM s", strategy=Strategy.INCREMENTAL, merge_key=("k",), watermark="w")
    pg_bench.run(plan)
    with pytest.raises(DataError, match=f"“w” of the destination is “{value}"):
        pg_bench.run(plan)


def test_rows_without_a_watermark_are_loaded_once_and_cause_a_warning(bench: Bench) -> None:
    bench.at_source(
        "CREATE TABLE s (k INTEGER, at TIMESTAMP)", "INSERT INTO s VALUES (1, '2026-01-01 00:00:00'), (2, NULL)"
    )
    plan = bench.plan("SELECT k, at FROM s", strategy=Strategy.UPSERT, merge_key=("k",), watermark="at")
    (warning,) = bench.run(plan).warnings
    assert warning.startswith("Rows without a value of at: 1.") and "COALESCE" in warning
    bench.at_source("UPDATE s SET k = 3 WHERE k = 2")
    assert bench.run(plan).warnings == []
    assert sorted(row[0] for row in bench.rows("SELECT k FROM sync.t")) == [1, 2]
