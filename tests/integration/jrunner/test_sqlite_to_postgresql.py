"""Transfers from SQLite, whose declared types are advisory: stored values arrive exactly, or the transfer fails."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from connections.sdk.errors import InvalidValue
from tests.harness.small_databases import System, job, postgresql, sqlite, transfer_rows, transfer_values

# declared type, value as an SQLite literal, type in the destination, text of the value in PostgreSQL (None is NULL)
EXACT = [
    ("integer", "9223372036854775807", "bigint", "9223372036854775807"),
    ("integer", "-9223372036854775808", "bigint", "-9223372036854775808"),
    ("integer", "NULL", "bigint", None),
    ("integer", "3.0", "integer", "3"),
    ("integer", "'12'", "integer", "12"),
    ("decimal(10,2)", "0.1", "numeric(10,2)", "0.10"),
    ("decimal(10,2)", "12.30", "numeric(10,2)", "12.30"),
    ("decimal(10,2)", "-0.01", "numeric(10,2)", "-0.01"),
    ("decimal(10,2)", "0.1 + 0.2", "numeric(10,2)", "0.30"),
    ("decimal(10,2)", "5", "numeric(10,2)", "5.00"),
    ("decimal(10,2)", "NULL", "numeric(10,2)", None),
    ("decimal(18,2)", "123456789012345.67", "numeric(18,2)", "123456789012345.67"),
    ("text", "'1.50'", "numeric", "1.50"),
    (
        "text",
        "'123456789012345678901234567890123456789012.5'",
        "numeric",
        "123456789012345678901234567890123456789012.5",
    ),
    ("numeric", "0.1", "numeric", "0.1"),
    ("double", "0.1", "double precision", "0.1"),
    ("double", "5e-324", "double precision", "5e-324"),
    ("double", "0.1", "real", "0.1"),
    ("text", "''", "text", ""),
    ("text", "NULL", "text", None),
    ("text", "'  kept  '", "text", "  kept  "),
    ("text", "'é😀' || char(10) || '\"''\\'", "text", "é😀\n\"'\\"),
    ("", "12", "text", "12"),
    ("", "0.1", "text", "0.1"),
    ("varchar(5)", "'abcde'", "varchar(5)", "abcde"),
    ("blob", "x'00ff'", "bytea", "\\x00ff"),
    ("blob", "x''", "bytea", "\\x"),
    ("date", "'1969-12-31'", "date", "1969-12-31"),
    ("date", "'0001-01-01'", "date", "0001-01-01"),
    ("date", "'9999-12-31'", "date", "9999-12-31"),
    ("date", "'2020-02-29 00:00:00'", "date", "2020-02-29"),
    ("timestamp", "'2020-01-01 00:00:00.123456'", "timestamp", "2020-01-01 00:00:00.123456"),
    ("timestamp", "'2020-01-01T10:30'", "timestamp", "2020-01-01 10:30:00"),
    ("timestamp", "'2020-01-01'", "timestamp", "2020-01-01 00:00:00"),
    ("timestamp", "'1900-01-01 23:59:59.999999'", "timestamp", "1900-01-01 23:59:59.999999"),
    ("timestamp", "'9999-12-31 23:59:59.999999'", "timestamp", "9999-12-31 23:59:59.999999"),
    ("timestamp", "'2020-01-01 00:00:00.123456000'", "timestamp", "2020-01-01 00:00:00.123456"),
    ("timestamp", "'2020-01-01T00:00:00+02:00'", "timestamptz", "2019-12-31 22:00:00+00"),
    ("timestamp", "'2020-01-01 00:00:00-05'", "timestamptz", "2020-01-01 05:00:00+00"),
    ("timestamp", "'2020-01-01 00:00:00.1234560Z'", "timestamptz", "2020-01-01 00:00:00.123456+00"),
    ("timestamp", "'2020-01-01 12:00:00'", "timestamptz", "2020-01-01 12:00:00+00"),
    ("timestamp", "'2020-01-01'", "timestamptz", "2020-01-01 00:00:00+00"),
    ("time", "'23:59:59.999999'", "time", "23:59:59.999999"),
    ("time", "'08:30'", "time", "08:30:00"),
    ("boolean", "1", "boolean", "true"),
    ("boolean", "0", "boolean", "false"),
    ("boolean", "'True'", "boolean", "true"),
    ("boolean", "'false'", "boolean", "false"),
    ("boolean", "NULL", "boolean", None),
    ("text", "'00112233-4455-6677-8899-aabbccddeeff'", "uuid", "00112233-4455-6677-8899-aabbccddeeff"),
    ("text", "'{\"a\":  1}'", "json", '{"a":  1}'),
    ("text", "'{\"a\":  1}'", "jsonb", '{"a": 1}'),
    ("text", "'{1,2,NULL}'", "integer[]", "{1,2,NULL}"),
    ("text", "'1 day 02:03:04'", "interval", "1 day 02:03:04"),
    ("text", "'10.0.0.0/8'", "inet", "10.0.0.0/8"),
]
# numbers of a storage class other than the declared one, and doubles that may have lost digits
MIXED = [
    ("", "'12'", "integer", "12"),
    ("", "7.0", "smallint", "7"),
    ("decimal(18,0)", "999999999999999999", "numeric(18,0)", "999999999999999999"),
    ("text", "'12345678901234567890.1234567891'", "numeric(38,10)", "12345678901234567890.1234567891"),
    ("text", "'-0.0000000001'", "numeric(38,10)", "-0.0000000001"),
    ("text", "'99999999999999999999999999999999999999'", "numeric(38,0)", "99999999999999999999999999999999999999"),
    ("double", "1e308", "double precision", "1e+308"),
    ("double", "9e999", "double precision", "Infinity"),
    ("double", "-9e999", "double precision", "-Infinity"),
    ("", "9007199254740992", "double precision", "9.007199254740992e+15"),
]
# declared type, value, type in the destination, the value as the message shows it, a part of the hint
INVALID = [
    ("integer", "3.75", "bigint", "3.75", ""),
    ("integer", "'abc'", "bigint", "abc", ""),
    ("integer", "'0x10'", "bigint", "0x10", ""),
    ("integer", "32768", "smallint", "32768", ""),
    ("integer", "2147483648", "integer", "2147483648", ""),
    ("", "1e20", "bigint", "1e+20", ""),
    ("decimal(10,2)", "12.345", "numeric(10,2)", "12.345", "ROUND"),
    ("decimal(10,2)", "'12.345'", "numeric(10,2)", "12.345", "ROUND"),
    ("text", "'12.345'", "numeric(10,2)", "12.345", "ROUND"),
    ("decimal(10,2)", "'abc'", "numeric(10,2)", "abc", "NULLIF"),
    ("text", "'12,50'", "numeric(10,2)", "12,50", "not a number"),
    ("text", "'nan'", "numeric(10,2)", "nan", ""),
    ("text", "''", "numeric(10,2)", "“”", ""),
    ("text", "'999999999999999999999999999999999999999'", "numeric(38,0)", "9999999999", "Widen"),
    ("decimal(5,2)", "1000", "numeric(5,2)", "1000", "Widen"),
    ("decimal(18,1)", "123456789012345.67", "numeric(18,1)", "123456789012345.67", ""),
    ("double", "'y'", "double precision", "y", ""),
    ("", "9007199254740993", "double precision", "9007199254740993", ""),
    ("double", "0.123456789", "real", "0.123456789", ""),
    ("text", "x'6162'", "text", "0x6162", "CAST"),
    ("blob", "'text'", "bytea", "text", "CAST"),
    ("text", "CAST(x'ff6162' AS text)", "text", "0xff6162", ""),
    ("text", "'a' || char(0) || 'b'", "text", "a\\x00b", "nul_bytes"),
    ("text", "'a' || char(0) || 'b'", "json", "a\\x00b", "nul_bytes"),
    ("varchar(5)", "'abcdef'", "varchar(5)", "abcdef", ""),
    ("varchar(5)", "'abcde '", "varchar(5)", "abcde ", ""),
    ("date", "'0000-00-00'", "date", "0000-00-00", "year 0"),
    ("date", "'0000-01-01'", "date", "0000-01-01", "year 0"),
    ("date", "'nope'", "date", "nope", ""),
    ("date", "'2021-02-29'", "date", "2021-02-29", ""),
    ("date", "'2020-01-01 10:00:00'", "date", "2020-01-01 10:00:00", ""),
    ("date", "1577836800", "date", "1577836800", "Unix timestamp"),
    ("timestamp", "1577836800", "timestamp", "1577836800", "Unix timestamp"),
    ("timestamp", "'2020-01-01 00:00:00.1234567'", "timestamp", "2020-01-01 00:00:00.1234567", ""),
    ("timestamp", "'2020-01-01T00:00:00+02:00'", "timestamp", "2020-01-01T00:00:00+02:00", "timestamptz"),
    ("timestamp", "'2020-01-01 00:00:00.123'", "timestamp(0)", "2020-01-01 00:00:00.123", ""),
    ("timestamp", "'0000-00-00 00:00:00'", "timestamp", "0000-00-00", "year 0"),
    ("time", "'24:00:00'", "time", "24:00:00", ""),
    ("time", "'8:30'", "time", "8:30", ""),
    ("boolean", "2", "boolean", "2", ""),
    ("boolean", "'yes'", "boolean", "yes", ""),
    ("text", "'{x'", "json", "{x", ""),
    ("text", "'{x'", "jsonb", "{x", ""),
    ("text", "'not-a-uuid'", "uuid", "not-a-uuid", ""),
    ("text", "'{1,x}'", "integer[]", "{1,x}", ""),
    ("text", "'999.0.0.0'", "inet", "999.0.0.0", ""),
]


# one column without a binary encoder makes the whole job use CSV
CSV = [
    ("text", "'{1,2}'", "integer[]", "{1,2}"),
    ("integer", "-7", "bigint", "-7"),
    ("text", "''", "text", ""),
    ("text", "'\\.'", "text", "\\."),
    ("text", "'é\"' || char(10) || char(13) || ',\\N'", "text", 'é"\n\r,\\N'),
    ("blob", "x'00ff0a'", "bytea", "\\x00ff0a"),
    ("blob", "x''", "bytea", "\\x"),
    ("double", "0.1", "double precision", "0.1"),
    ("double", "9e999", "double precision", "Infinity"),
    ("double", "5e-324", "double precision", "5e-324"),
    ("text", "'0.0000000001'", "numeric(38,10)", "0.0000000001"),
    ("text", "'-12345678901234567890.5'", "numeric(38,10)", "-12345678901234567890.5000000000"),
    ("date", "'0001-01-01'", "date", "0001-01-01"),
    ("timestamp", "'1969-12-31 23:59:59.999999'", "timestamp", "1969-12-31 23:59:59.999999"),
    ("timestamp", "'2020-01-01T00:00:00+02:00'", "timestamptz", "2019-12-31 22:00:00+00"),
    ("time", "'23:59:59.5'", "time", "23:59:59.5"),
    ("boolean", "1", "boolean", "true"),
    ("text", "'00112233-4455-6677-8899-aabbccddeeff'", "uuid", "00112233-4455-6677-8899-aabbccddeeff"),
    ("text", "'{\"a\":  1}'", "jsonb", '{"a": 1}'),
]


@pytest.fixture(scope="module")
def erp(tmp_path_factory: pytest.TempPathFactory) -> System:
    return sqlite(tmp_path_factory.mktemp("erp") / "erp.db")


@pytest.fixture(scope="module")
def warehouse(postgresql_server: str) -> System:
    return postgresql(postgresql_server)


def _create_tables(erp: System, declared: str, values: list[str], warehouse: System, dest_type: str) -> None:
    rows = ", ".join(f"({number}, {value})" for number, value in enumerate(values))
    erp.execute("DROP TABLE IF EXISTS t", f"CREATE TABLE t (n integer, v {declared})", f"INSERT INTO t VALUES {rows}")
    warehouse.execute("DROP TABLE IF EXISTS t", f"CREATE TABLE t (n integer, v {dest_type})")


def _check_transfer(erp: System, warehouse: System, cases: Sequence[tuple[str, str, str, str | None]]) -> None:
    result = transfer_values(erp, warehouse, [case[:3] for case in cases], "{}::text")
    assert result.values == {case[:3]: case[3] for case in cases}


def test_values_arrive_exactly(erp: System, warehouse: System) -> None:
    _check_transfer(erp, warehouse, EXACT)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("case", MIXED)
def test_a_number_of_an_unexpected_storage_class_arrives_exactly(
    erp: System, warehouse: System, case: tuple[str, str, str, str | None]
) -> None:
    """Transferred alone, because one such value makes the reader check every value of the table."""
    _check_transfer(erp, warehouse, [case])


def test_values_arrive_exactly_together_with_numbers_of_mixed_storage_classes(erp: System, warehouse: System) -> None:
    _check_transfer(erp, warehouse, [*EXACT, *MIXED])


def test_values_arrive_exactly_together_with_a_type_that_has_no_binary_encoder(erp: System, warehouse: System) -> None:
    _check_transfer(erp, warehouse, CSV)


@pytest.mark.default_cases(2)
@pytest.mark.parametrize(("declared", "value", "dest_type", "shown", "hint"), INVALID)
def test_an_invalid_value_is_named_and_the_destination_stays_empty(
    erp: System, warehouse: System, declared: str, value: str, dest_type: str, shown: str, hint: str
) -> None:
    _create_tables(erp, declared, ["NULL", value], warehouse, dest_type)
    with pytest.raises(InvalidValue) as caught:
        transfer_rows(job(erp, "SELECT n, v FROM t", warehouse))
    assert "“v”" in caught.value.message
    assert shown in caught.value.message
    assert hint in caught.value.hint and caught.value.hint
    assert warehouse.rows("SELECT * FROM t") == []


@pytest.mark.matrix
def test_an_invalid_value_after_many_valid_rows_leaves_the_destination_empty(erp: System, warehouse: System) -> None:
    _create_tables(erp, "integer", ["1"], warehouse, "bigint")
    erp.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) "
        "INSERT INTO t SELECT i, i FROM n",
        "INSERT INTO t VALUES (0, 3.75)",
    )
    with pytest.raises(InvalidValue, match="3.75"):
        transfer_rows(job(erp, "SELECT n, v FROM t", warehouse))
    assert warehouse.rows("SELECT count(*) FROM t") == [(0,)]


def test_text_in_the_only_number_of_a_table_with_text_arrives_exactly(erp: System, warehouse: System) -> None:
    """The driver reports it in the output that also reports bytes in text."""
    erp.execute("DROP TABLE IF EXISTS t", "CREATE TABLE t (n, v text)", "INSERT INTO t VALUES (1, 'a'), ('12', 'b')")
    warehouse.execute("DROP TABLE IF EXISTS t", "CREATE TABLE t (n integer, v text)")
    transfer_rows(job(erp, "SELECT n, v FROM t", warehouse))
    assert warehouse.rows("SELECT n, v FROM t ORDER BY n") == [(1, "a"), (12, "b")]


@pytest.mark.parametrize(("declared", "value"), [("text", "x'6162'"), ("decimal(5,2)", "x'6162'")])
def test_bytes_in_text_are_refused_in_a_table_without_and_with_numbers(
    erp: System, warehouse: System, declared: str, value: str
) -> None:
    dest_type = "numeric(5,2)" if declared != "text" else "text"
    erp.execute("DROP TABLE IF EXISTS t", f"CREATE TABLE t (v {declared}, w text)")
    erp.execute(f"INSERT INTO t VALUES (NULL, 'a'), ({value}, 'b')")
    warehouse.execute("DROP TABLE IF EXISTS t", f"CREATE TABLE t (v {dest_type}, w text)")
    with pytest.raises(InvalidValue, match="“v”: the bytes 0x6162 has the wrong storage class"):
        transfer_rows(job(erp, "SELECT v, w FROM t", warehouse))
