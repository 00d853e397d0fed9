"""Transfers from PostgreSQL to SQLite and DuckDB keep values exactly or fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from connections.sdk.errors import InvalidValue
from tests.harness.small_databases import System, duckdb, job, sqlite, transfer_rows, transfer_values
from tests.integration.jrunner.postgresql_tables import create_destination, create_source

TO_SQLITE = [
    ("smallint", "-32768", "SMALLINT", (-32768, "integer")),
    ("bigint", "9223372036854775807", "BIGINT", (9223372036854775807, "integer")),
    ("numeric(10,2)", "-0.01", "DECIMAL(10,2)", (-0.01, "real")),
    ("numeric(38,10)", "0.0000000001", "TEXT", ("0.0000000001", "text")),
    ("numeric(50,5)", "123456789012345678901234567890.12345", "TEXT", ("123456789012345678901234567890.12345", "text")),
    ("double precision", "0.1", "DOUBLE", (0.1, "real")),
    ("double precision", "'-Infinity'", "DOUBLE", (float("-inf"), "real")),
    ("boolean", "true", "BOOLEAN", (1, "integer")),
    ("text", "''", "TEXT", ("", "text")),
    ("text", "'007'", "TEXT", ("007", "text")),
    ("text", "'é😀\n'", "TEXT", ("é😀\n", "text")),
    ("char(5)", "'ab'", "TEXT", ("ab   ", "text")),
    ("bytea", "'\\x00ff'", "BLOB", (b"\x00\xff", "blob")),
    ("bytea", "''", "BLOB", (b"", "blob")),
    ("date", "'1969-12-31'", "DATE_TEXT", ("1969-12-31", "text")),
    ("timestamp", "'9999-12-31 23:59:59.999999'", "TIMESTAMP_TEXT", ("9999-12-31 23:59:59.999999", "text")),
    ("timestamp", "'2020-01-01 10:00'", "TIMESTAMP_TEXT", ("2020-01-01 10:00:00", "text")),
    ("timestamptz", "'2020-01-01 00:00:00.5+05:30'", "TIMESTAMPTZ_TEXT", ("2019-12-31 18:30:00.5+00:00", "text")),
    ("time", "'10:00:00.25'", "TIME_TEXT", ("10:00:00.25", "text")),
    ("uuid", "'00112233-4455-6677-8899-aabbccddeeff'", "UUID_TEXT", ("00112233-4455-6677-8899-aabbccddeeff", "text")),
    ("jsonb", "'{\"a\": 1.10}'", "JSON_TEXT", ('{"a": 1.10}', "text")),
    ("integer[]", "'{1,NULL,3}'", "TEXT", ("{1,NULL,3}", "text")),
    ("interval", "'1 mon'", "TEXT", ("1 mon", "text")),
    ("money", "12.34", "TEXT", ("12.34", "text")),
    ("mood", "'ok'", "TEXT", ("ok", "text")),
]


@pytest.mark.usefixtures("method")
def test_values_arrive_exactly_in_sqlite(warehouse: System, tmp_path: Path) -> None:
    copy = sqlite(tmp_path / "copy.db")
    cases = [case[:3] for case in TO_SQLITE]
    assert transfer_values(warehouse, copy, cases, "{}").values == {case[:3]: case[3][0] for case in TO_SQLITE}
    assert transfer_values(warehouse, copy, cases, "typeof({})").values == {case[:3]: case[3][1] for case in TO_SQLITE}


NOT_IN_SQLITE = [
    ("double precision", "'NaN'", "DOUBLE", "nan"),
    ("date", "'infinity'", "DATE_TEXT", "infinity"),
    ("date", "'0044-03-15 BC'", "DATE_TEXT", "0044-03-15 BC"),
    ("timestamp", "'10000-01-01'", "TIMESTAMP_TEXT", "10000-01-01 00:00:00"),
    ("timestamp", "'294276-12-31'", "TIMESTAMP_TEXT", "294276-12-31 00:00:00"),
    ("time", "'24:00'", "TIME_TEXT", "24:00:00"),
    ("numeric", "12345678901234567.8", "NUMERIC", "12345678901234567.8"),
    ("text", "'007'", "STRING", "007"),
    ("text", "'1e5'", "DATETIME", "1e5"),
]


@pytest.mark.usefixtures("method")
@pytest.mark.default_cases(2)
@pytest.mark.parametrize(("native", "value", "dest_type", "shown"), NOT_IN_SQLITE)
def test_a_value_that_sqlite_would_alter_is_refused(
    warehouse: System, tmp_path: Path, native: str, value: str, dest_type: str, shown: str
) -> None:
    create_source(warehouse, native, value)
    copy = sqlite(tmp_path / "copy.db")
    create_destination(copy, dest_type)
    with pytest.raises(InvalidValue) as caught:
        transfer_rows(job(warehouse, "SELECT * FROM s", copy))
    assert "“v”" in caught.value.message and shown in caught.value.message
    assert copy.rows("SELECT * FROM t") == []


TO_DUCKDB = [
    ("bigint", "-9223372036854775808", "BIGINT", "-9223372036854775808"),
    (
        "numeric(38,10)",
        "1234567890123456789012345678.1234567891",
        "DECIMAL(38,10)",
        "1234567890123456789012345678.1234567891",
    ),
    ("numeric(50,5)", "123456789012345678901234567890.12345", "VARCHAR", "123456789012345678901234567890.12345"),
    ("numeric", "'NaN'", "VARCHAR", "NaN"),
    ("numeric(20,0)", "18446744073709551615", "UBIGINT", "18446744073709551615"),
    ("real", "0.1", "FLOAT", "0.1"),
    ("double precision", "'NaN'", "DOUBLE", "nan"),
    ("text", "''", "VARCHAR", ""),
    ("bytea", "'\\x00ff'", "BLOB", "\\x00\\xFF"),
    ("date", "'infinity'", "DATE", "infinity"),
    ("date", "'0044-03-15 BC'", "DATE", "0044-03-15 (BC)"),
    ("timestamp", "'-infinity'", "TIMESTAMP", "-infinity"),
    ("timestamp", "'2020-01-01 10:00:00'", "TIMESTAMP_S", "2020-01-01 10:00:00"),
    ("timestamptz", "'2020-01-01 00:00:00.123456+05:30'", "TIMESTAMPTZ", "2019-12-31 18:30:00.123456+00"),
    ("time", "'24:00'", "TIME", "24:00:00"),
    ("uuid", "'00112233-4455-6677-8899-aabbccddeeff'", "UUID", "00112233-4455-6677-8899-aabbccddeeff"),
    ("json", "'{\"a\":  1}'", "JSON", '{"a":  1}'),
    ("integer[]", "'{1,NULL,3}'", "VARCHAR", "{1,NULL,3}"),
    ("interval", "'1 mon 2 days'", "INTERVAL", "1 month 2 days"),
    ("mood", "'ok'", "VARCHAR", "ok"),
]


@pytest.mark.usefixtures("method")
def test_values_arrive_exactly_in_duckdb(warehouse: System, tmp_path: Path) -> None:
    result = transfer_values(
        warehouse, duckdb(tmp_path / "copy.duckdb"), [case[:3] for case in TO_DUCKDB], "{}::VARCHAR"
    )
    assert result.values == {case[:3]: case[3] for case in TO_DUCKDB}


NOT_IN_DUCKDB = [
    ("timestamp", "'294276-12-31'", "TIMESTAMP", "294276-12-31 00:00:00"),
    ("timestamp", "'2020-01-01 10:00:00.5'", "TIMESTAMP_S", "2020-01-01 10:00:00.5"),
    ("numeric", "'NaN'", "DECIMAL(10,2)", "nan"),
    ("smallint", "-1", "UTINYINT", "-1"),
    ("text", "'{x'", "JSON", "{x"),
    ("text", "'abc'", "UUID", "abc"),
]


@pytest.mark.usefixtures("method")
@pytest.mark.default_cases(1)
@pytest.mark.parametrize(("native", "value", "dest_type", "shown"), NOT_IN_DUCKDB)
def test_a_value_that_duckdb_would_alter_is_refused(
    warehouse: System, tmp_path: Path, native: str, value: str, dest_type: str, shown: str
) -> None:
    create_source(warehouse, native, value)
    copy = duckdb(tmp_path / "copy.duckdb")
    create_destination(copy, dest_type)
    with pytest.raises(InvalidValue) as caught:
        transfer_rows(job(warehouse, "SELECT * FROM s", copy))
    assert "“v”" in caught.value.message and shown in caught.value.message
    assert copy.rows("SELECT * FROM t") == []
