"""Transfers within PostgreSQL: the raw route keeps every byte, Arrow keeps values exactly or fails."""

from __future__ import annotations

import pytest

from connections.sdk.errors import InvalidValue, PipekitError
from tests.harness.small_databases import System, job, transfer_rows, transfer_values
from tests.integration.jrunner.postgresql_tables import create_destination, create_source

# type, value in SQL, text of the value in the destination
VALUES = [
    ("smallint", "-32768", "-32768"),
    ("bigint", "-9223372036854775808", "-9223372036854775808"),
    ("numeric(38,10)", "1234567890123456789012345678.1234567891", "1234567890123456789012345678.1234567891"),
    ("numeric(10,2)", "'NaN'", "NaN"),
    ("numeric", "1e-30", "0.000000000000000000000000000001"),
    ("numeric", "'-Infinity'", "-Infinity"),
    ("numeric(50,5)", "123456789012345678901234567890.12345", "123456789012345678901234567890.12345"),
    ("real", "0.1", "0.1"),
    ("double precision", "'NaN'", "NaN"),
    ("double precision", "'-Infinity'", "-Infinity"),
    ("boolean", "true", "true"),
    ("text", "''", ""),
    ("text", "E'\\\\x \\n\\t\"é😀'", '\\x \n\t"é😀'),
    ("varchar(10)", "'abc '", "abc "),
    ("char(5)", "'ab'", "ab   "),
    ("name", "'nm'", "nm"),
    ('"char"', "'a'", "a"),
    ("bytea", "'\\x00ff'", "\\x00ff"),
    ("bytea", "''", "\\x"),
    ("date", "'0044-03-15 BC'", "0044-03-15 BC"),
    ("date", "'infinity'", "infinity"),
    ("date", "'5874897-12-31'", "5874897-12-31"),
    ("timestamp", "'-infinity'", "-infinity"),
    ("timestamp", "'294276-12-31 23:59:59.999999'", "294276-12-31 23:59:59.999999"),
    ("timestamptz", "'2020-01-01 00:00:00.123456+05:30'", "2019-12-31 18:30:00.123456+00"),
    ("time", "'24:00'", "24:00:00"),
    ("timetz", "'12:00:00.5+05:30'", "12:00:00.5+05:30"),
    ("interval", "'1 mon 2 days -03:00:00.5'", "1 mon 2 days -03:00:00.5"),
    ("uuid", "'00112233-4455-6677-8899-aabbccddeeff'", "00112233-4455-6677-8899-aabbccddeeff"),
    ("json", '\'{"a":  1, "a": 2}\'', '{"a":  1, "a": 2}'),
    ("jsonb", "'{\"a\":  12345678901234567890.10}'", '{"a": 12345678901234567890.10}'),
    ("integer[]", "'{1,NULL,3}'", "{1,NULL,3}"),
    ("text[]", '\'{"a,b","",NULL}\'', '{"a,b","",NULL}'),
    ("int4range", "'[1,5)'", "[1,5)"),
    ("inet", "'10.1.2.3/8'", "10.1.2.3/8"),
    ("bit(3)", "B'101'", "101"),
    ("varbit", "B'10101'", "10101"),
    ("mood", "'ok'", "ok"),
    ("percentage", "5", "5"),
]
# types that binary COPY cannot transfer to another server, because their bytes contain object ids of this one
BY_ID = [("mood[]", "'{ok,sad}'", "{ok,sad}"), ("pair", "'(1,x)'", "(1,x)"), ("regclass", "'pg_class'", "pg_class")]
# values that arrow cannot transfer into the same type
NOT_BY_ARROW = {("numeric(10,2)", "'NaN'"), ("timestamp", "'294276-12-31 23:59:59.999999'")}


def _texts(cases: list[tuple[str, str, str]], dest_type: str = "") -> dict[tuple[str, str, str], str]:
    return {(native, value, dest_type or native): text for native, value, text in cases}


def _cast_texts(cases: list[tuple[str, str, str]]) -> dict[tuple[str, str, str], str]:
    """Return the values as cast to text: PostgreSQL's cast drops the padding of char(n)."""
    return {key: text.rstrip() if key[2] == "char(5)" else text for key, text in _texts(cases).items()}


def test_values_of_every_type_arrive_by_the_raw_route(warehouse: System) -> None:
    expected = _cast_texts(VALUES)
    result = transfer_values(warehouse, warehouse, list(expected), "{}::text")
    assert (result.route, result.values) == ("raw", expected)
    assert warehouse.rows("SELECT count(*) FROM s JOIN t USING (n) WHERE s::text IS DISTINCT FROM t::text") == [(0,)]


def test_values_of_every_type_arrive_as_text_by_the_raw_route(warehouse: System) -> None:
    expected = _texts(VALUES + BY_ID, "text")
    result = transfer_values(warehouse, warehouse, list(expected), "{}")
    assert (result.route, result.values) == ("raw", expected)


@pytest.mark.usefixtures("method")
def test_values_of_every_type_arrive_by_arrow(warehouse: System) -> None:
    """With the types that the raw route cannot transfer, the whole table is transferred by arrow."""
    expected = _cast_texts([case for case in VALUES + BY_ID if case[:2] not in NOT_BY_ARROW])
    result = transfer_values(warehouse, warehouse, list(expected), "{}::text")
    assert (result.route, result.values) == ("arrow", expected)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(("native", "value", "expected"), [case for case in VALUES if case[:2] not in NOT_BY_ARROW])
def test_values_of_every_type_with_a_binary_encoder_arrive_by_arrow(
    warehouse: System, native: str, value: str, expected: str
) -> None:
    """With a smallint in the destination the raw route is not used, and no other column makes the job use CSV."""
    create_source(warehouse, native, value)
    warehouse.execute("DROP TABLE IF EXISTS t", f"CREATE TABLE t (n smallint, v {native})")
    route, _ = transfer_rows(job(warehouse, "SELECT n, v FROM s", warehouse))
    assert route == "arrow"
    assert warehouse.rows("SELECT v::text FROM t ORDER BY n") == [
        (None,),
        (_cast_texts([(native, value, expected)])[(native, value, native)],),
    ]


@pytest.mark.usefixtures("method")
@pytest.mark.default_cases(1)
@pytest.mark.parametrize(("native", "value"), sorted(NOT_BY_ARROW))
def test_a_value_that_arrow_cannot_transfer_is_named(warehouse: System, native: str, value: str) -> None:
    create_source(warehouse, native, value)
    warehouse.execute("DROP TABLE IF EXISTS t", f"CREATE TABLE t (n smallint, v {native})")
    with pytest.raises(InvalidValue, match="“v”: "):
        transfer_rows(job(warehouse, "SELECT n, v FROM s", warehouse))
    assert warehouse.rows("SELECT * FROM t") == []


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(("native", "value", "expected"), BY_ID)
def test_values_with_object_ids_are_not_transferred_by_the_raw_route_into_their_own_type(
    warehouse: System, native: str, value: str, expected: str
) -> None:
    create_source(warehouse, native, value)
    create_destination(warehouse, native)
    route, _ = transfer_rows(job(warehouse, "SELECT * FROM s", warehouse))
    assert route == "arrow"
    assert warehouse.rows("SELECT v::text FROM t ORDER BY n") == [(None,), (expected,)]


WIDER = [
    ("smallint", "1", "bigint", "1"),
    ("integer", "-5", "numeric", "-5"),
    ("real", "0.5", "double precision", "0.5"),
    ("numeric(10,2)", "1.50", "numeric(12,4)", "1.5000"),
    ("numeric(10,2)", "1.50", "numeric", "1.50"),
    ("varchar(5)", "'abc'", "varchar(9)", "abc"),
    ("date", "'infinity'", "timestamp", "infinity"),
    ("timestamp(3)", "'2020-01-01 00:00:00.123'", "timestamp", "2020-01-01 00:00:00.123"),
]


def test_columns_are_widened_by_the_raw_route(warehouse: System) -> None:
    result = transfer_values(warehouse, warehouse, [case[:3] for case in WIDER], "{}::text")
    assert (result.route, result.values) == ("raw", {case[:3]: case[3] for case in WIDER})


# the receiving server would silently round or cut the last value of each
NARROWER = [
    ("numeric(10,4)", "1.2300", "numeric(10,2)", "1.23", "1.2345"),
    ("numeric", "1.2300", "numeric(10,2)", "1.23", "1.2345"),
    ("text", "'abc'", "varchar(4)", "abc", "'abcd '"),
    ("text", "'abc '", "char(4)", "abc", "'abcd '"),
    ("timestamp", "'2020-01-01 00:00:00.120'", "timestamp(2)", "2020-01-01 00:00:00.12", "'2020-01-01 00:00:00.123'"),
    ("time", "'10:00:00.5'", "time(1)", "10:00:00.5", "'10:00:00.51'"),
    ("bigint", "7", "integer", "7", "2147483648"),
    ("double precision", "0.1", "real", "0.1", "0.123456789"),
    ("text", "'2020-01-31'", "date", "2020-01-31", "'31.01.2020'"),
    ("text", "'12'", "integer", "12", "'12a'"),
]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(("native", "good", "dest_type", "expected", "bad"), NARROWER)
def test_a_narrower_column_accepts_values_that_fit_and_refuses_others(
    warehouse: System, native: str, good: str, dest_type: str, expected: str, bad: str
) -> None:
    create_source(warehouse, native, good)
    create_destination(warehouse, dest_type)
    route, _ = transfer_rows(job(warehouse, "SELECT * FROM s", warehouse))
    assert route == "arrow"
    assert warehouse.rows("SELECT v::text FROM t ORDER BY n") == [(None,), (expected,)]
    warehouse.execute(f"INSERT INTO s VALUES (3, {bad})", "TRUNCATE t")
    with pytest.raises(InvalidValue, match="“v”"):
        transfer_rows(job(warehouse, "SELECT * FROM s", warehouse))
    assert warehouse.rows("SELECT * FROM t") == []


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS n, 'a' AS v;",
        "SELECT 1 AS n, 'a' AS v ; -- the end",
        "SELECT 1 AS n, 'a' AS v -- no end",
        "SELECT 1 AS n, 'a' AS v /* ; */ ;\n\n",
        "WITH x AS (SELECT 1 AS n) SELECT n, 'a' AS v FROM x ORDER BY 1",
        "SELECT 1, 'a'",
        "SELECT 1 AS x, 'a' AS x",
        "VALUES (1, 'a')",
    ],
)
@pytest.mark.parametrize("dest_type", ["text", "varchar(3)"])
def test_a_query_may_end_with_a_semicolon_or_a_comment_and_have_any_column_names(
    warehouse: System, query: str, dest_type: str
) -> None:
    create_destination(warehouse, dest_type)
    route, _ = transfer_rows(job(warehouse, query, warehouse))
    assert route == ("raw" if dest_type == "text" else "arrow")
    assert warehouse.rows("SELECT n, v FROM t") == [(1, "a")]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dest_type", ["text", "varchar(9)"])
@pytest.mark.parametrize(
    "query",
    ["WITH gone AS (DELETE FROM s RETURNING n) SELECT n, 'x' AS v FROM gone", "SELECT 1 AS n, 'x'; DELETE FROM s"],
)
def test_a_source_query_cannot_write(warehouse: System, query: str, dest_type: str) -> None:
    create_source(warehouse, "text", "'kept'")
    create_destination(warehouse, dest_type)
    with pytest.raises(PipekitError):
        transfer_rows(job(warehouse, query, warehouse))
    assert warehouse.rows("SELECT v FROM s ORDER BY n") == [(None,), ("kept",)]
    assert warehouse.rows("SELECT * FROM t") == []
