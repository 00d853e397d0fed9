"""Verification of every type: rows are equal after a run, and a changed value is reported with its column."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connections.sdk.parameters import ConnectionParameters
from tests.harness.bench import Bench
from tests.harness.verification import counts, run_verification

pytestmark = pytest.mark.matrix
# type, value at the source, a different value, both in PostgreSQL's SQL
_POSTGRESQL = {
    "t": ("text", "'a'", "'A'"),
    "blank": ("text", "'a'", "'a '"),
    "empty": ("text", "''", "NULL"),
    "c": ("char(5)", "'ab'", "'ab.'"),
    "vc": ("varchar(40)", "'é'", "E'e\\u0301'"),
    "n": ("numeric(38,10)", "12345678901234567890.1234567891", "12345678901234567890.1234567892"),
    "free": ("numeric", "1e-30", "1.1e-30"),
    "nan": ("numeric", "'NaN'", "0"),
    "b": ("boolean", "true", "false"),
    "raw": ("bytea", "'\\x00ff'", "'\\x00fe'"),
    "u": ("uuid", "'00000000-0000-0000-0000-000000000001'", "'00000000-0000-0000-0000-000000000002'"),
    "j": ("json", """'{"a": 1}'""", """'{"a": 2}'"""),
    "jb": ("jsonb", """'{"a": 1}'""", """'{"a": 1, "b": null}'"""),
    "a": ("int[]", "'{1,NULL,3}'", "'{1,3}'"),
    "ta": ("text[]", "'{\"x y\"}'", "'{x,y}'"),
    "d": ("date", "'2026-01-01'", "'2026-01-02'"),
    "bc": ("date", "'0044-03-15 BC'", "'0044-03-15'"),
    "ts": ("timestamp", "'2026-12-31 23:59:59.999999'", "'2026-12-31 23:59:59.999998'"),
    "inf": ("timestamp", "'infinity'", "'-infinity'"),
    "tz": ("timestamptz", "'2026-01-01 00:00:00+05:30'", "'2026-01-01 00:00:00+05:00'"),
    "ti": ("time", "'24:00:00'", "'00:00:00'"),
    "r": ("real", "1.1", "1.1000001"),
    "dp": ("double precision", "0.1", "0.10000000000000002"),
    "zero": ("double precision", "'-0'", "'0'"),
    "s": ("smallint", "-32768", "32767"),
    "g": ("bigint", "9223372036854775807", "9223372036854775806"),
    "iv": ("interval", "'1 day'", "'24:00:00'"),
    "rng": ("int4range", "'[1,5)'", "'[1,6)'"),
    "net": ("inet", "'10.0.0.1/8'", "'10.0.0.1'"),
}
# type in SQLite, type in PostgreSQL, value in SQLite's SQL, a different value in PostgreSQL's SQL
_SQLITE = {
    "i": ("INTEGER", "bigint", "9223372036854775807", "9223372036854775806"),
    "t": ("TEXT", "text", "'a'", "'A'"),
    "empty": ("TEXT", "text", "''", "NULL"),
    "n": ("DECIMAL(38,10)", "numeric(38,10)", "1.5", "1.5000000001"),
    "free": ("TEXT", "numeric", "'1.50'", "1.51"),
    "f": ("DOUBLE", "double precision", "0.1", "0.10000000000000002"),
    "b": ("BOOLEAN", "boolean", "1", "false"),
    "raw": ("BLOB", "bytea", "x'00ff'", "'\\x00fe'"),
    "u": ("TEXT", "uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12'"),
    "j": ("TEXT", "jsonb", """'{"b":1.0,  "a":[1]}'""", """'{"a":[2],"b":1.0}'"""),
    "c": ("TEXT", "char(5)", "'ab'", "'abc'"),
    "d": ("DATE", "date", "'1969-12-31'", "'1970-01-01'"),
    "ts": ("TIMESTAMP", "timestamp", "'2026-12-31T23:59:59.999999'", "'2026-12-31 23:59:59.999998'"),
    "tz": ("TIMESTAMPTZ", "timestamptz", "'2026-01-01T00:00:00+02:00'", "'2026-01-01 00:00:00+00'"),
    "ti": ("TIME", "time", "'10:00'", "'10:00:00.000001'"),
}


def change_each_column(bench: Bench, query: str, others: dict[str, str]) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Change one column at a time in the destination; yield the columns reported as different, and the counts."""
    for name, other in others.items():
        bench.at_destination("BEGIN", "CREATE TABLE sync.kept AS SELECT * FROM sync.t", "COMMIT")
        bench.at_destination(f"UPDATE sync.t SET {name} = {other}")
        result = run_verification(bench, query)
        yield ",".join(sorted({value.column for value in result.comparison.different})), counts(result)
        bench.at_destination("TRUNCATE sync.t", "INSERT INTO sync.t SELECT * FROM sync.kept", "DROP TABLE sync.kept")


def test_every_type_of_postgresql_is_compared_by_hashes_of_the_servers(pg_bench: Bench) -> None:
    columns = ", ".join(f"{name} {native}" for name, (native, _, _) in _POSTGRESQL.items())
    values = ", ".join(value for _, value, _ in _POSTGRESQL.values())
    pg_bench.at_source(f"CREATE TABLE v (id int, {columns})", f"INSERT INTO v VALUES (1, {values})")
    pg_bench.run(pg_bench.plan("SELECT * FROM v"))
    assert counts(run_verification(pg_bench, "SELECT * FROM v")) == (0, 0, 0)
    differences = change_each_column(
        pg_bench, "SELECT * FROM v", {name: other for name, (_, _, other) in _POSTGRESQL.items()}
    )
    assert list(differences) == [(name, (0, 0, 1)) for name in _POSTGRESQL]


def test_every_type_of_sqlite_is_compared_with_postgresql(bench: Bench) -> None:
    source_columns = ", ".join(f"{name} {native}" for name, (native, *_) in _SQLITE.items())
    dest_columns = ", ".join(f"{name} {native}" for name, (_, native, *_) in _SQLITE.items())
    values = ", ".join(value for _, _, value, _ in _SQLITE.values())
    query = f"SELECT id AS id, {', '.join(f'{name} AS {name}' for name in _SQLITE)} FROM v"
    bench.at_source(f"CREATE TABLE v (id INTEGER, {source_columns})", f"INSERT INTO v VALUES (1, {values})")
    bench.at_destination("CREATE SCHEMA sync", f"CREATE TABLE sync.t (id bigint, {dest_columns})")
    bench.run(bench.plan(query))
    assert counts(run_verification(bench, query)) == (0, 0, 0)
    differences = change_each_column(bench, query, {name: other for name, (_, _, _, other) in _SQLITE.items()})
    assert list(differences) == [(name, (0, 0, 1)) for name in _SQLITE]


def test_types_of_duckdb_are_equal_after_a_run(bench: Bench, tmp_path: Path) -> None:
    url = f"jdbc:duckdb:{tmp_path / 'source.duckdb'}"
    bench.source = ConnectionParameters(kind="duckdb", url=url, options={"create": True}, name="source")
    bench.at_source(
        "CREATE TABLE v (id INTEGER, h HUGEINT, n DECIMAL(20,3), f FLOAT, t VARCHAR, l INTEGER[], iv INTERVAL,"
        " ts TIMESTAMP, tz TIMESTAMPTZ, u UUID, b BLOB)",
        "INSERT INTO v VALUES (1, 170141183460469231731687303715884105727, 1.500, 'nan', 'é', [1, NULL],"
        " INTERVAL 1 DAY, '2026-01-01 00:00:00.000001', '2026-01-01 00:00:00+02',"
        " '00000000-0000-0000-0000-000000000001', '\\x00')",
    )
    bench.run(bench.plan("SELECT * FROM v"))
    assert counts(run_verification(bench, "SELECT * FROM v")) == (0, 0, 0)
