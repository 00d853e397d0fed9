"""Types of one system that are filled from text: a value that the system would round, cut or misread is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from connections.sdk.errors import InvalidValue
from tests.harness.small_databases import System, duckdb, job, postgresql, sqlite, transfer_rows, transfer_values
from tests.processes.jrunner import run

# type in PostgreSQL, text
POSTGRESQL_ALTERS = [
    ('"100%s"', "(1.005,x)"),
    ("amount", "1.005"),
    ("positive", "1.005"),
    ("amount[]", "{1.005}"),
    ("priced", "(1.005,x)"),
    ("numeric(9,2)[]", "{1.005}"),
    ("numeric(50,5)", "1.0000009"),
    ("numeric(50,0)", "15e-1"),
    ("numeric", "0x1f"),
    ("numeric", "1_000"),
    ("varchar(3)[]", '{"abc  "}'),
    ("char(3)[]", "{abcd}"),
    ("name", "x" * 64),
    ('"char"', "abc"),
    ("money", "1.005"),
    ("timetz", "12:00:00.1234567+02"),
    ("timetz(1)", "12:00:00.129+02"),
    ("timestamp[]", "{2020-01-01 00:00:00.1234567}"),
    ("tsrange", "[2020-01-01 00:00:00.1234567,2020-02-01)"),
    ("interval", "0.0000009 sec"),
    ("interval(1)", "1.29 sec"),
    ("interval year to month", "1 year 3 days"),
    ("real[]", "{0.123456789123}"),
    ("double precision[]", "{1.00000000000000000001}"),
    ("point", "(1.00000000000000000001,2)"),
    ("oid", "-1"),
]
POSTGRESQL_KEEPS = [
    ("positive", "1.50", "1.50"),
    ("amount[]", "{1.50,NULL}", "{1.50,NULL}"),
    ("priced", '(1.50,"x, y")', '(1.50,"x, y")'),
    ("numeric(9,2)[]", "{1.5,NULL}", "{1.50,NULL}"),
    ("numeric(50,5)", "125e-2", "1.25000"),
    ("numeric(50,0)", "1.2500e3", "1250"),
    ("numeric(50,5)", "NaN", "NaN"),
    ("numeric", " 1.5 ", "1.5"),
    ("varchar(3)[]", '{"ab ",""}', '{"ab ",""}'),
    ("char(3)[]", "{ab}", '{"ab "}'),
    ("name", "x" * 63, "x" * 63),
    ('"char"', "\\377", "\\377"),
    ("money", "-1234.5", "-$1,234.50"),
    ("timetz(1)", "12:00:00.10+02", "12:00:00.1+02"),
    ("tstzrange", "[2020-01-01 10:00:00.123456+02,)", '["2020-01-01 08:00:00.123456+00",)'),
    ("interval", "1.5 days", "1 day 12:00:00"),
    ("interval year to month", "1 year 3 mons", "1 year 3 mons"),
    ("real[]", "{0.1,NaN,-Infinity,1e+30}", "{0.1,NaN,-Infinity,1e+30}"),
    ("double precision[]", "{0.30000000000000004}", "{0.30000000000000004}"),
    ("text[]", '{"a,b",NULL,"NULL",""}', '{"a,b",NULL,"NULL",""}'),
    ("int[]", "{{1,2},{3,NULL}}", "{{1,2},{3,NULL}}"),
    ("int4multirange", "{[1,2),[5,6)}", "{[1,2),[5,6)}"),
    ("oid", "4294967295", "4294967295"),
    ("mood[]", "{ok}", "{ok}"),
]
DUCKDB_ALTERS = [
    ("HUGEINT", "1.5"),
    ("UHUGEINT", "15e-1"),
    ("BIGNUM", "1.5"),
    ("INTERVAL", "00:00:00.0000019"),
    ("TIMETZ", "12:00:00.1234567+02"),
    ("DECIMAL(9,2)[]", "[1.005]"),
    ("INTEGER[]", "[1.9]"),
    ("STRUCT(a INTEGER)", "{'a': 1.9}"),
    ("FLOAT[]", "[0.123456789]"),
    ("TIMESTAMP[]", "[2020-01-01 00:00:00.1234567]"),
]
# values that a copy from DuckDB to DuckDB keeps in their own type
DUCKDB_OWN = [
    ("INTEGER[][]", "[[1], [], NULL]"),
    ("VARCHAR[]", "['a,b', '''', 'NULL', NULL, '', ' x ', 'a\\b', '\"q\"', chr(10), '[1]']"),
    ('STRUCT(a INTEGER, "b c" VARCHAR)', "{'a': 1, 'b c': 'x, ''y'' '}"),
    ("MAP(VARCHAR, INTEGER)", "MAP {'k=1, ': 1}"),
    (
        "STRUCT(a TIMESTAMPTZ, b DOUBLE, c BLOB)",
        "{'a': '2020-01-01 10:00:00+02'::TIMESTAMPTZ, 'b': 0.1, 'c': '\\xAA'::BLOB}",
    ),
    ("FLOAT[]", "[0.1]"),
    ("HUGEINT[]", "[170141183460469231731687303715884105727]"),
    ("TIMESTAMP_NS[]", "['2020-01-01 00:00:00.123456789'::TIMESTAMP_NS]"),
    ("ENUM('a', 'b''c')", "'b''c'"),
    ("BIT", "'0101'"),
    ("TIME_NS", "'12:00:00.123456789'"),
    ("TIMETZ", "'24:00:00-15:59'"),
    ("INTERVAL", "INTERVAL '-1 month 2 days -3.000001 seconds'"),
]


@pytest.fixture(scope="module")
def warehouse(postgresql_server: str) -> System:
    system = postgresql(postgresql_server)
    system.execute(
        "DROP TABLE IF EXISTS s, t",
        'DROP TYPE IF EXISTS mood, priced, "100%s" CASCADE',
        "DROP DOMAIN IF EXISTS amount CASCADE",
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        "CREATE TYPE priced AS (price numeric(9,2), label text)",
        'CREATE TYPE "100%s" AS (price numeric(9,2), label text)',
        "CREATE DOMAIN amount AS numeric(9,2)",
        "CREATE DOMAIN positive AS amount CHECK (VALUE > 0)",
    )
    return system


@pytest.fixture(scope="module")
def erp(tmp_path_factory: pytest.TempPathFactory) -> System:
    return sqlite(tmp_path_factory.mktemp("erp") / "erp.db")


def _error_message(erp: System, text: str, destination: System, dest_type: str) -> str:
    quoted = text.replace("'", "''")
    erp.execute("DROP TABLE IF EXISTS s", "CREATE TABLE s (n integer, v text)", "INSERT INTO s VALUES (1, NULL)")
    erp.execute(f"INSERT INTO s VALUES (2, '{quoted}')")
    destination.execute("DROP TABLE IF EXISTS t", f"CREATE TABLE t (n integer, v {dest_type})")
    with pytest.raises(InvalidValue) as caught:
        transfer_rows(job(erp, "SELECT n, v FROM s", destination))
    assert destination.rows("SELECT * FROM t") == []
    return caught.value.message


@pytest.mark.default_cases(2)
@pytest.mark.parametrize(("dest_type", "text"), POSTGRESQL_ALTERS)
def test_a_value_that_postgresql_would_alter_is_named(
    erp: System, warehouse: System, dest_type: str, text: str
) -> None:
    message = _error_message(erp, text, warehouse, dest_type)
    assert "“v”" in message and text in message


def test_values_that_postgresql_keeps_arrive(erp: System, warehouse: System) -> None:
    cases = [("text", "'" + text.replace("'", "''") + "'", dest_type) for dest_type, text, _ in POSTGRESQL_KEEPS]
    result = transfer_values(erp, warehouse, cases, "{}::text")
    assert list(result.values.values()) == [expected for _, _, expected in POSTGRESQL_KEEPS]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(("dest_type", "text"), DUCKDB_ALTERS)
def test_a_value_that_duckdb_would_alter_is_named(erp: System, tmp_path: Path, dest_type: str, text: str) -> None:
    message = _error_message(erp, text, duckdb(tmp_path / "copy.duckdb"), dest_type)
    assert "“v”" in message and text in message


def test_values_of_duckdb_types_arrive_in_duckdb(tmp_path: Path) -> None:
    lake, copy = duckdb(tmp_path / "lake.duckdb"), duckdb(tmp_path / "copy.duckdb")
    transfer_values(lake, copy, [(native, value, native) for native, value in DUCKDB_OWN], "{}::VARCHAR")
    query = "SELECT n, CAST(columns(*) AS VARCHAR) FROM {} ORDER BY n"
    assert copy.rows(query.format("t")) == lake.rows(query.format("s"))


def test_a_domain_over_a_domain_is_treated_as_its_base_type(warehouse: System, tmp_path: Path) -> None:
    copy = sqlite(tmp_path / "copy.db")
    result = transfer_values(warehouse, copy, [("positive", "1.50", "DECIMAL(9,2)")], "{}")
    assert list(result.values.values()) == [1.5]


def test_the_greatest_timestamp_is_not_taken_for_infinity(warehouse: System) -> None:
    last = "294247-01-10 04:00:54.775807"
    warehouse.execute("DROP TABLE IF EXISTS s", f"CREATE TABLE s AS SELECT 1 AS n, '{last}'::timestamp AS v")
    # with a smallint in the destination, the rows are not copied by the raw route
    warehouse.execute("DROP TABLE IF EXISTS t", "CREATE TABLE t (n smallint, v timestamp)")
    with pytest.raises(InvalidValue, match="294247-01-10"):
        transfer_rows(job(warehouse, "SELECT n, v FROM s", warehouse))


def test_without_a_job_a_type_of_another_system_becomes_text(warehouse: System, tmp_path: Path) -> None:
    lake, query = duckdb(tmp_path / "lake.duckdb"), tmp_path / "query.sql"
    lake.execute("CREATE TABLE s AS SELECT {'a': 1, 'b': 'x'} AS v, [1, NULL] AS w")
    query.write_text("SELECT v, w FROM s")
    warehouse.execute("DROP TABLE IF EXISTS t")
    url = warehouse.parameters.url
    outcome = run("-scu", lake.parameters.url, "-dcu", url, "-sq", str(query), "-dt", "public.t")
    assert outcome.code == 0, outcome.log
    assert warehouse.rows("SELECT v, w FROM t") == [("{'a': 1, 'b': x}", "[1, NULL]")]
