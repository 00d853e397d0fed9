"""Row hashes differ by construction: values for which the systems' own hash functions collide are compared too."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.bench import Bench
from tests.harness.verification import counts, run_verification

pytestmark = [pytest.mark.matrix, pytest.mark.usefixtures("transfer_in_process")]

QUERY = "SELECT id AS id, v AS v FROM s"


@pytest.mark.parametrize(
    ("native", "source", "destination"),
    [
        ("numeric(10,2)", "1.50", "-1.50"),
        ("numeric", "'NaN'", "'Infinity'"),
        ("bigint", "0", "4294967297"),
        pytest.param("time", "'00:00:00'", "'01:11:34.967297'"),
        pytest.param("timestamp", "'2000-01-01 00:00:00'", "'2000-01-01 01:11:34.967297'"),
    ],
)
def test_values_with_the_same_hash_in_postgresql_are_different(
    pg_bench: Bench, native: str, source: str, destination: str
) -> None:
    pg_bench.at_source(f"CREATE TABLE s (id integer, v {native})", f"INSERT INTO s VALUES (1, {source})")
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        f"CREATE TABLE sync.t (id integer, v {native})",
        f"INSERT INTO sync.t VALUES (1, {destination})",
    )
    assert counts(run_verification(pg_bench, QUERY)) == (0, 0, 1)


@pytest.mark.parametrize("value", ["0.00", "184467440737095516.17"])
def test_wide_decimals_with_the_same_hash_in_duckdb_are_different(bench: Bench, value: str) -> None:
    bench.at_source("CREATE TABLE s (id INTEGER, v DECIMAL(38,2))", "INSERT INTO s VALUES (1, -0.01)")
    bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id integer, v numeric(38,2))",
        f"INSERT INTO sync.t VALUES (1, {value})",
    )
    assert counts(run_verification(bench, QUERY)) == (0, 0, 1)


@pytest.mark.parametrize("source", ["postgresql", pytest.param("sqlite")])
def test_values_exchanged_between_two_rows_of_one_bucket_are_different(
    between: Callable[[str, str], Bench], source: str
) -> None:
    pair = between(source, "postgresql")
    rows = (
        "INSERT INTO {} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4096)"
        " SELECT i, 'name ' || i FROM n"
    )
    pair.at_source("CREATE TABLE s (id integer, v varchar(20))", rows.format("s"))
    pair.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id integer, v varchar(20))",
        rows.format("sync.t"),
        # four keys share a bucket of the last range; in some buckets two neighbours exchange their values
        "UPDATE sync.t SET v = 'name ' || CASE WHEN id % 2 = 0 THEN id - 1 ELSE id + 1 END"
        " WHERE id > 2000 AND id % 16 IN (1, 2)",
    )
    assert counts(run_verification(pair, QUERY)) == (0, 0, 262)
