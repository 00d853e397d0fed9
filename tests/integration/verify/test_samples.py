"""Samples of a verification: their rows are those that other options select, and can be compared again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runs.engine.plan import Strategy
from runs.engine.verify.verify import Options, verify_module
from tests.harness.bench import Bench
from tests.harness.verification import fast_pace

QUERY = "SELECT id AS id, name AS name FROM s"


def filled(bench: Bench, rows: int, change: str) -> Bench:
    """Insert the rows into the source, and the same into the destination, where the statement then changes them."""
    bench.at_source(
        "CREATE TABLE s (id INTEGER, name TEXT)",
        f"INSERT INTO s WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
        " SELECT i, 'name ' || i FROM n",
    )
    bench.at_destination(
        "CREATE SCHEMA sync",
        f"CREATE TABLE sync.t AS SELECT i AS id, 'name ' || i AS name FROM generate_series(1, {rows}) i",
        change,
    )
    return bench


@pytest.mark.matrix
@pytest.mark.parametrize("key", ["id", "name"])
def test_a_sample_can_be_compared_again(bench: Bench, key: str) -> None:
    # the missing rows show which sample was compared
    filled(bench, 3000, "DELETE FROM sync.t WHERE id % 7 = 0")
    plan = bench.plan(QUERY, strategy=Strategy.UPSERT, merge_key=(key,))
    options = Options(sample=300, pace=fast_pace())
    first = verify_module(plan, options)
    second = verify_module(plan, replace(options, same=first.sample))
    assert 0 < first.comparison.source_rows < 3000
    assert second.sample == first.sample
    assert second.comparison.missing == first.comparison.missing
    assert second.comparison.counts == first.comparison.counts


@pytest.mark.parametrize("key", ["id", "name"])
def test_a_sample_is_of_the_rows_since_a_value(bench: Bench, key: str) -> None:
    filled(bench, 20_000, "UPDATE sync.t SET name = name || ' altered' WHERE id > 19000")
    plan = bench.plan(QUERY, strategy=Strategy.UPSERT, merge_key=(key,), watermark="id")
    result = verify_module(plan, Options(since="19001", sample=100, pace=fast_pace())).comparison
    assert 50 < result.source_rows < 200
    differing = result.counts.different if key == "id" else result.counts.missing
    assert differing == result.source_rows
    everything = verify_module(plan, Options(since="19001", sample=5000, pace=fast_pace())).comparison
    assert everything.source_rows == 1000
