"""Transfers from DuckDB and SQLite: values arrive exactly, or the transfer fails with the invalid value."""

from __future__ import annotations

from pathlib import Path

import pytest

from connections.sdk.errors import InvalidValue, PipekitError
from tests.harness.small_databases import System, duckdb, job, postgresql, sqlite, transfer_rows, transfer_values

DUCKDB_TO_POSTGRESQL = [
    ("TINYINT", "-128", "smallint", "-128"),
    ("UINTEGER", "4294967295", "bigint", "4294967295"),
    ("UBIGINT", "18446744073709551615", "numeric(20,0)", "18446744073709551615"),
    (
        "HUGEINT",
        "-170141183460469231731687303715884105728",
        "numeric(39,0)",
        "-170141183460469231731687303715884105728",
    ),
    (
        "UHUGEINT",
        "340282366920938463463374607431768211455",
        "numeric",
        "340282366920938463463374607431768211455",
    ),
    (
        "DECIMAL(38,10)",
        "1234567890123456789012345678.1234567891",
        "numeric(38,10)",
        "1234567890123456789012345678.1234567891",
    ),
    ("DECIMAL(18,2)", "-0.01", "numeric(18,2)", "-0.01"),
    ("FLOAT", "0.1", "real", "0.1"),
    ("DOUBLE", "'nan'", "double precision", "NaN"),
    ("VARCHAR", "''", "text", ""),
    ("BLOB", "'\\x00\\xff'::BLOB", "bytea", "\\x00ff"),
    ("BLOB", "''::BLOB", "bytea", "\\x"),
    ("BOOLEAN", "true", "boolean", "true"),
    ("DATE", "'infinity'", "date", "infinity"),
    ("DATE", "'-infinity'", "date", "-infinity"),
    ("DATE", "'0044-03-15 (BC)'", "date", "0044-03-15 BC"),
    ("TIME", "'23:59:59.999999'", "time", "23:59:59.999999"),
    ("TIMESTAMP", "'1969-12-31 23:59:59.999999'", "timestamp", "1969-12-31 23:59:59.999999"),
    ("TIMESTAMP", "'-infinity'", "timestamp", "-infinity"),
    ("TIMESTAMP_S", "'2020-01-01 10:00:00'", "timestamp", "2020-01-01 10:00:00"),
    ("TIMESTAMP_MS", "'2020-01-01 10:00:00.123'", "timestamp", "2020-01-01 10:00:00.123"),
    ("TIMESTAMP_NS", "'2020-01-01 10:00:00.123456'", "timestamp", "2020-01-01 10:00:00.123456"),
    ("TIMESTAMPTZ", "'2020-01-01 10:00:00.5+02'", "timestamptz", "2020-01-01 08:00:00.5+00"),
    ("TIMETZ", "'12:00:00.5+05:30'", "timetz", "12:00:00.5+05:30"),
    ("INTERVAL", "INTERVAL '1 month 2 days 3.5 seconds'", "interval", "1 mon 2 days 00:00:03.5"),
    ("UUID", "'00112233-4455-6677-8899-aabbccddeeff'", "uuid", "00112233-4455-6677-8899-aabbccddeeff"),
    ("JSON", "'{\"a\":  1}'", "json", '{"a":  1}'),
    ("INTEGER[]", "[1, NULL, 3]", "text", "[1, NULL, 3]"),
    ("STRUCT(a INTEGER, b VARCHAR)", "{'a': 1, 'b': 'x'}", "text", "{'a': 1, 'b': x}"),
    ("MAP(VARCHAR, INTEGER)", "MAP {'a': 1}", "text", "{a=1}"),
    ("ENUM('a', 'b')", "'b'", "text", "b"),
    ("BIT", "'10101'", "varbit", "10101"),
]
INVALID = [
    ("TIMESTAMP_NS", "'2020-01-01 10:00:00.123456789'", "timestamp", "2020-01-01 10:00:00.123456789"),
    ("VARCHAR", "'a' || chr(0) || 'b'", "text", "a\\x00b"),
    ("HUGEINT", "100000000000000000000", "bigint", "100000000000000000000"),
    ("DECIMAL(10,4)", "1.2345", "numeric(10,2)", "1.2345"),
    ("DOUBLE", "1.5", "integer", "1.5"),
    ("TIMESTAMPTZ", "'2020-01-01 10:00:00+02'", "timestamp", "2020-01-01 08:00:00"),
    ("BLOB", "'x'::BLOB", "text", "0x78"),
]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> System:
    return duckdb(tmp_path_factory.mktemp("lake") / "lake.duckdb")


@pytest.fixture(scope="module")
def warehouse(postgresql_server: str) -> System:
    return postgresql(postgresql_server)


def _create_tables(source: System, native: str, value: str, destination: System, dest_type: str) -> None:
    source.execute(
        "DROP TABLE IF EXISTS s",
        f"CREATE TABLE s (n integer, v {native})",
        f"INSERT INTO s VALUES (1, NULL), (2, {value})",
    )
    destination.execute("DROP TABLE IF EXISTS t", f"CREATE TABLE t (n integer, v {dest_type})")


def test_duckdb_values_arrive_exactly_in_postgresql(lake: System, warehouse: System) -> None:
    result = transfer_values(lake, warehouse, [case[:3] for case in DUCKDB_TO_POSTGRESQL], "{}::text")
    assert result.values == {case[:3]: case[3] for case in DUCKDB_TO_POSTGRESQL}


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(("native", "value", "dest_type", "shown"), INVALID)
def test_an_invalid_value_of_duckdb_is_named_and_the_destination_stays_empty(
    lake: System, warehouse: System, native: str, value: str, dest_type: str, shown: str
) -> None:
    _create_tables(lake, native, value, warehouse, dest_type)
    with pytest.raises(InvalidValue) as caught:
        transfer_rows(job(lake, "SELECT n, v FROM s", warehouse))
    assert "“v”" in caught.value.message and shown in caught.value.message
    assert warehouse.rows("SELECT * FROM t") == []


def test_duckdb_values_arrive_exactly_in_duckdb(lake: System, tmp_path: Path) -> None:
    copy = duckdb(tmp_path / "copy.duckdb")
    transfer_values(
        lake, copy, [(native, value, native) for native, value, _, _ in DUCKDB_TO_POSTGRESQL], "{}::VARCHAR"
    )
    query = "SELECT n, CAST(columns(*) AS VARCHAR) FROM {} ORDER BY n"
    assert copy.rows(query.format("t")) == lake.rows(query.format("s"))


SQLITE_COPIES = [
    ("integer", "9223372036854775807", (9223372036854775807, "integer")),
    ("decimal(10,2)", "12.3", (12.3, "real")),
    ("decimal(10,2)", "5", (5, "integer")),
    ("text", "'12345678901234567890.12'", ("12345678901234567890.12", "text")),
    ("double", "9e999", (float("inf"), "real")),
    ("text", "''", ("", "text")),
    ("text", "'a' || char(0) || 'b'", ("a\0b", "text")),
    ("blob", "x''", (b"", "blob")),
    ("blob", "x'00ff'", (b"\x00\xff", "blob")),
    ("date", "'2020-01-31'", ("2020-01-31", "text")),
    ("time", "'10:00:00.25'", ("10:00:00.25", "text")),
    ("boolean", "1", (1, "integer")),
    ("text", "'007'", ("007", "text")),
]


def test_sqlite_values_arrive_exactly_in_sqlite(tmp_path: Path) -> None:
    erp, copy = sqlite(tmp_path / "erp.db"), sqlite(tmp_path / "copy.db")
    cases = [(native, value, native) for native, value, _ in SQLITE_COPIES]
    values, classes = (transfer_values(erp, copy, cases, expression).values for expression in ("{}", "typeof({})"))
    assert {key: (values[key], classes[key]) for key in cases} == {
        (native, value, native): expected for native, value, expected in SQLITE_COPIES
    }


SQLITE_TO_DUCKDB = [
    ("integer", "9223372036854775807", "BIGINT", "9223372036854775807"),
    ("decimal(10,2)", "12.3", "DECIMAL(10,2)", "12.30"),
    ("text", "'170141183460469231731687303715884105727'", "HUGEINT", "170141183460469231731687303715884105727"),
    ("double", "9e999", "DOUBLE", "inf"),
    ("text", "'a' || char(0) || 'b'", "VARCHAR", "a\0b"),
    ("blob", "x''", "BLOB", ""),
    ("timestamp", "'2020-01-31T10:00:00.5'", "TIMESTAMP", "2020-01-31 10:00:00.5"),
    ("timestamp", "'2020-01-31 10:00:00+02:00'", "TIMESTAMPTZ", "2020-01-31 08:00:00+00"),
    ("text", "'[1, 2]'", "INTEGER[]", "[1, 2]"),
]


def test_sqlite_values_arrive_exactly_in_duckdb(tmp_path: Path) -> None:
    erp, copy = sqlite(tmp_path / "erp.db"), duckdb(tmp_path / "copy.duckdb")
    result = transfer_values(erp, copy, [case[:3] for case in SQLITE_TO_DUCKDB], "{}::VARCHAR")
    assert result.values == {case[:3]: case[3] for case in SQLITE_TO_DUCKDB}


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    erp, copy = sqlite(tmp_path / "erp.db"), duckdb(tmp_path / "copy.duckdb")
    _create_tables(erp, "text", "CAST(x'ff6162' AS text)", copy, "VARCHAR")
    with pytest.raises(InvalidValue, match="0xff6162"):
        transfer_rows(job(erp, "SELECT n, v FROM s", copy))
    assert copy.rows("SELECT * FROM t") == []


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("open_system", [sqlite, duckdb])
def test_one_file_can_be_source_and_destination(tmp_path: Path, open_system: type[System]) -> None:
    file = open_system(tmp_path / "one.file")  # type: ignore[call-arg, arg-type]
    file.execute(
        "CREATE TABLE s (n bigint, v text)",
        "INSERT INTO s WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x WHERE i < 50000) "
        "SELECT i, 'some text to fill the pages ' || i FROM x",
        "CREATE TABLE t (n bigint, v text)",
    )
    _, counts = transfer_rows(job(file, "SELECT n, v FROM s", file))
    assert counts.written == 50000
    assert file.rows("SELECT count(*) FROM s JOIN t USING (n, v)") == [(50000,)]


@pytest.mark.matrix
def test_wide_rows_are_transferred_in_small_batches(tmp_path: Path) -> None:
    erp, copy = sqlite(tmp_path / "erp.db"), sqlite(tmp_path / "copy.db")
    erp.execute(
        "CREATE TABLE s (n integer, v blob)",
        "INSERT INTO s WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x WHERE i < 600) "
        "SELECT i, zeroblob(100000) FROM x",
    )
    copy.execute("CREATE TABLE t (n integer, v blob)")
    transfer_rows(job(erp, "SELECT n, v FROM s", copy, batch_bytes=1_000_000))
    assert copy.rows("SELECT count(*), sum(length(v)), min(n), max(n) FROM t") == [(600, 60_000_000, 1, 600)]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT n, v FROM read_csv('{}', header = true)", "file system operations are disabled"),
        ("SELECT n, v FROM '{}'", "file system operations are disabled"),
        ("SELECT n, v FROM s; DROP TABLE s", "not a single query"),
    ],
)
def test_a_duckdb_query_can_only_read_its_own_file(
    lake: System, warehouse: System, tmp_path: Path, query: str, message: str
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("n,v\n1,x\n")
    _create_tables(lake, "text", "'kept'", warehouse, "text")
    with pytest.raises(PipekitError) as caught:
        transfer_rows(job(lake, query.format(other), warehouse))
    assert message in f"{caught.value.message} {caught.value.detail}"
    assert lake.rows("SELECT count(*) FROM s") == [(2,)]
    assert warehouse.rows("SELECT * FROM t") == []


@pytest.mark.default_cases(2)
@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM s RETURNING n, v",
        "UPDATE s SET v = 'new' RETURNING n, v",
        "INSERT INTO s VALUES (3, 'new') RETURNING n, v",
        "SELECT n, v FROM s; DROP TABLE s",
    ],
)
def test_a_sqlite_query_cannot_write(tmp_path: Path, warehouse: System, query: str) -> None:
    erp = sqlite(tmp_path / "erp.db")
    _create_tables(erp, "text", "'kept'", warehouse, "text")
    with pytest.raises(PipekitError):
        transfer_rows(job(erp, query, warehouse))
    assert erp.rows("SELECT n, v FROM s ORDER BY n") == [(1, None), (2, "kept")]
    assert warehouse.rows("SELECT * FROM t") == []
