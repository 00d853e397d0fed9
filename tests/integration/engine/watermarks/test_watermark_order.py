"""Watermarks that sort differently at the source and in the destination are refused, since rows would be left out."""

from __future__ import annotations

import pytest

from connections.sdk.errors import ConfigurationInvalid
from runs.engine.plan import Strategy
from tests.harness.bench import Bench

pytestmark = pytest.mark.usefixtures("transfer_in_process")


@pytest.fixture
def numbered(bench: Bench) -> Bench:
    bench.at_source("CREATE TABLE orders (no VARCHAR(10))", "INSERT INTO orders VALUES ('20000'), ('100000')")
    bench.at_destination(
        "CREATE SCHEMA sync", "CREATE TABLE sync.t (no bigint PRIMARY KEY)", "INSERT INTO sync.t VALUES (20000)"
    )
    return bench


@pytest.mark.parametrize("expression", ["no", "RTRIM(no)"])
def test_numbers_stored_as_text_are_refused_and_the_destination_is_unchanged(numbered: Bench, expression: str) -> None:
    plan = numbered.plan(
        f"SELECT {expression} AS no FROM orders", strategy=Strategy.INCREMENTAL, merge_key=("no",), watermark="no"
    )
    with pytest.raises(ConfigurationInvalid, match="text at the source") as caught:
        numbered.run(plan)
    assert "CAST(.. AS bigint) AS no" in caught.value.hint
    assert numbered.rows() == [(20000,)]


def test_the_cast_that_the_hint_suggests_brings_the_newer_rows(numbered: Bench) -> None:
    query = "SELECT CAST(no AS bigint) AS no FROM orders"
    numbered.run(numbered.plan(query, strategy=Strategy.INCREMENTAL, merge_key=("no",), watermark="no"))
    assert numbered.rows() == [(20000,), (100000,)]


def test_bytes_are_refused_as_a_watermark(bench: Bench) -> None:
    bench.at_source("CREATE TABLE orders (version BLOB)", "INSERT INTO orders VALUES (x'07d1'), (x'07d2')")
    bench.at_destination(
        "CREATE SCHEMA sync", "CREATE TABLE sync.t (version bytea)", "INSERT INTO sync.t VALUES ('\\x07d1')"
    )
    plan = bench.plan(
        "SELECT version FROM orders", strategy=Strategy.INCREMENTAL, merge_key=("version",), watermark="version"
    )
    with pytest.raises(ConfigurationInvalid, match="bytes"):
        bench.run(plan)
    assert bench.rows("SELECT encode(version, 'hex') FROM sync.t") == [("07d1",)]


def test_a_row_of_the_same_day_is_read_where_days_are_text(bench: Bench) -> None:
    bench.at_source("CREATE TABLE orders (no int, day TEXT)", "INSERT INTO orders VALUES (1, '2026-01-31')")
    bench.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.t (no int PRIMARY KEY, day timestamp)")
    plan = bench.plan("SELECT no, day FROM orders", strategy=Strategy.INCREMENTAL, merge_key=("no",), watermark="day")
    bench.run(plan)
    bench.at_source("INSERT INTO orders VALUES (2, '2026-01-31'), (3, '2026-01-30')")
    result = bench.run(plan)
    assert result.source_sql == "SELECT no, day FROM orders WHERE day >= '2026-01-31'"
    assert bench.rows("SELECT no FROM sync.t ORDER BY 1") == [(1,), (2,)]
