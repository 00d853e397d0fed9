"""Values arrive unchanged, or the run fails with the column and an example in its error."""

from __future__ import annotations

import pytest

from connections.sdk.errors import InvalidValue
from tests.harness.bench import Bench

_PG_COLUMNS = """
  k int, t text, c char(5), vc varchar(40), n numeric(38,10), free numeric, b boolean, raw bytea, u uuid, j json,
  jb jsonb, a int[], ta text[], d date, ts timestamp, tz timestamptz, ti time, r real, dp double precision, s smallint,
  g bigint, iv interval, rng int4range, net inet
"""
_PG_ROWS = (
    "(1, '', 'ab', 'é ''quoted'' \"double\" \\\\ back', 12345678901234567890.1234567891, 1e-30, true, '\\x00ff', "
    "'00000000-0000-0000-0000-000000000001', '{\"b\": 1, \"a\" : [1,2]}', '{\"a\": null}', '{1,NULL,3}', "
    "'{\"x y\",\"\",NULL}', '0044-03-15 BC', '2026-12-31 23:59:59.999999', '1969-12-31 23:59:59.000001+05:30', "
    "'24:00:00', 1.1, 0.1, -32768, 9223372036854775807, '1 year 2 days 03:04:05.000006', '[1,5)', '10.0.0.1/8')",
    "(2, E'line\\nbreak\\ttab', NULL, NULL, NULL, 'NaN', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'infinity', "
    "'-infinity', 'infinity', NULL, 'NaN', '-Infinity', NULL, NULL, NULL, NULL, NULL)",
    "(3, '∅', '', '', -0.0000000001, 1e40, false, '', NULL, 'null', '\"\"', '{}', '{}', '294276-12-31', "
    "'294276-12-31 23:59:59.999999', '1970-01-01 00:00:00+00', '00:00:00.000001', -0.0, 1e308, 0, "
    "-9223372036854775808, '-1 mon', 'empty', '::1')",
)


def test_every_type_of_postgresql_arrives_unchanged(pg_bench: Bench) -> None:
    pg_bench.at_source(f"CREATE TABLE v ({_PG_COLUMNS})", *(f"INSERT INTO v VALUES {row}" for row in _PG_ROWS))
    pg_bench.run(pg_bench.plan("SELECT * FROM v"))
    rows = pg_bench.rows("SELECT row_.*::text FROM sync.t row_ ORDER BY k")
    pg_bench.destination, source = pg_bench.source, pg_bench.destination
    assert rows == pg_bench.rows("SELECT row_.*::text FROM v row_ ORDER BY k")
    pg_bench.destination = source
    types = (
        "SELECT string_agg(format_type(atttypid, atttypmod), ',' ORDER BY attnum) FROM pg_attribute WHERE attnum > 0"
    )
    assert "character(5),character varying(40),numeric(38,10)" in str(
        pg_bench.rows(f"{types} AND attrelid = 'sync.t'::regclass")
    )


def test_a_type_unknown_to_the_destination_becomes_text_with_a_warning(pg_bench: Bench) -> None:
    pg_bench.at_source(
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        "CREATE DOMAIN amount AS numeric(9,2) CHECK (VALUE > 0)",
        "CREATE TABLE v (k int, m mood, a amount)",
        "INSERT INTO v VALUES (1, 'ok', 1.50), (2, NULL, NULL)",
    )
    result = pg_bench.run(pg_bench.plan("SELECT k, m, a FROM v"))
    assert pg_bench.rows("SELECT k, m, a::text, pg_typeof(m)::text, pg_typeof(a)::text FROM sync.t ORDER BY 1") == [
        (1, "ok", "1.50", "text", "numeric"),
        (2, None, None, "text", "numeric"),
    ]
    assert any("mood" in warning for warning in result.warnings)


def test_sqlite_values_arrive_unchanged(bench: Bench) -> None:
    bench.at_source(
        "CREATE TABLE v (k INTEGER, t TEXT, n DECIMAL(38,10), x DECIMAL(15,2), b BOOLEAN, raw BLOB, u UUID, j JSON, "
        "d DATE, ts TIMESTAMP, tz TIMESTAMPTZ, f DOUBLE)",
        "CREATE TABLE wide (n TEXT)",
        "INSERT INTO v VALUES (1, 'quote '' \" and ∅', 1.5, 12.30, 1, x'00ff', "
        "'00000000-0000-0000-0000-000000000001', '{\"a\": 1}', '1969-12-31', '2026-12-31 23:59:59.999999', "
        "'2026-01-01T00:00:00+02:00', 0.1)",
        "INSERT INTO v VALUES (2, '', NULL, NULL, NULL, NULL, NULL, NULL, '9999-12-31', '0001-01-01T00:00:00', "
        "NULL, NULL)",
        "INSERT INTO v VALUES (9223372036854775807, char(10) || char(9), -0.0000000001, 0.1, 0, x'', NULL, NULL, NULL, "
        "NULL, NULL, -1e308)",
    )
    bench.run(bench.plan("SELECT k, t, n, x, b, raw, u, j, d, ts, tz, f FROM v"))
    assert bench.rows(
        "SELECT k, t, n::text, x::text, b, raw, u::text, j::text, d::text, ts::text, tz::text, f FROM sync.t ORDER BY k"
    ) == [
        (
            *(1, "quote ' \" and ∅", "1.5000000000", "12.30", True, b"\x00\xff"),
            *("00000000-0000-0000-0000-000000000001", '{"a": 1}', "1969-12-31", "2026-12-31 23:59:59.999999"),
            *("2025-12-31 22:00:00+00", 0.1),
        ),
        (2, "", None, None, None, None, None, None, "9999-12-31", "0001-01-01 00:00:00", None, None),
        (9223372036854775807, "\n\t", "-0.0000000001", "0.10", False, b"", None, None, None, None, None, -1e308),
    ]


# the overflow below tests that jrunner's error about an invalid value is passed on to its parent
@pytest.mark.default_cases(1)
@pytest.mark.usefixtures("transfer_in_process")
@pytest.mark.parametrize(
    ("declared", "value", "example"),
    [
        ("SMALLINT", "40000", "40000"),
        ("INTEGER", "'abc'", "abc"),
        ("INTEGER", "3.75", "3.75"),
        ("DECIMAL(5,2)", "1234.5", "1234.5"),
        ("DECIMAL(5,2)", "1.005", "1.005"),
        ("DATE", "'0000-00-00'", "0000-00-00"),
        ("TIMESTAMP", "'yesterday'", "yesterday"),
        ("BOOLEAN", "'perhaps'", "perhaps"),
        ("TEXT", "'a' || char(0) || 'b'", "a"),
    ],
)
def test_an_invalid_value_fails_with_column_and_example_and_changes_nothing(
    bench: Bench, declared: str, value: str, example: str
) -> None:
    bench.at_source(f"CREATE TABLE v (k INTEGER, odd {declared})", "INSERT INTO v VALUES (1, NULL)")
    bench.run(bench.plan("SELECT k, odd FROM v"))
    bench.at_source(f"INSERT INTO v VALUES (2, {value})")
    with pytest.raises(InvalidValue) as caught:
        bench.run(bench.plan("SELECT k, odd FROM v"))
    message = f"{caught.value.message} {caught.value.detail}"
    assert "odd" in message
    assert example in message
    assert bench.rows() == [(1, None)]


def test_nul_bytes_are_removed_when_the_module_is_configured_so(bench: Bench) -> None:
    bench.at_source("CREATE TABLE v (k INTEGER, t TEXT)", "INSERT INTO v VALUES (1, 'a' || char(0) || 'b')")
    result = bench.run(bench.plan("SELECT k, t FROM v", strip_nul_bytes=True))
    assert bench.rows() == [(1, "ab")]
    assert any("NUL" in warning for warning in result.warnings)


def test_an_overflow_between_postgresql_tables_names_the_column(pg_bench: Bench) -> None:
    pg_bench.at_source("CREATE TABLE v (k bigint, n numeric(12,4))", "INSERT INTO v VALUES (1, 1.5), (3000000000, 2)")
    pg_bench.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.t (k int, n numeric(12,4))")
    with pytest.raises(InvalidValue) as caught:
        pg_bench.run(pg_bench.plan("SELECT k, n FROM v"))
    assert "3000000000" in f"{caught.value.message} {caught.value.detail}"
    assert pg_bench.rows() == []


@pytest.mark.matrix
def test_a_value_that_would_be_rounded_between_postgresql_tables_is_an_invalid_value(pg_bench: Bench) -> None:
    pg_bench.at_source("CREATE TABLE v (k int, n numeric(12,4))", "INSERT INTO v VALUES (1, 1.2345)")
    pg_bench.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.t (k int, n numeric(12,2))")
    with pytest.raises(InvalidValue, match=r"1\.2345"):
        pg_bench.run(pg_bench.plan("SELECT k, n FROM v"))
    assert pg_bench.rows() == []


@pytest.mark.matrix
def test_a_date_out_of_the_destination_s_range_is_named_with_a_hint_about_its_year(bench: Bench) -> None:
    bench.at_source("CREATE TABLE v (k INTEGER, d DATE)", "INSERT INTO v VALUES (1, '5881580-07-10')")
    with pytest.raises(InvalidValue, match="5881580-07-10") as caught:
        bench.run(bench.plan("SELECT k, d FROM v"))
    assert "Its year is out of range for date" in caught.value.hint
