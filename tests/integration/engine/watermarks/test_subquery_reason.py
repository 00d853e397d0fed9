"""The reason why a condition makes the query a subquery is reported by runs and dry runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from runs.engine.events import SourceQueryBuilt
from runs.engine.plan import Strategy
from tests.harness.bench import Bench

pytestmark = pytest.mark.usefixtures("transfer_in_process")


@pytest.mark.default_cases(2)
@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT DISTINCT k AS k FROM s", "DISTINCT"),
        ("SELECT k AS k FROM s", ""),
        ("SELECT max(k) AS k FROM s", "the aggregate MAX"),
        ("SELECT * FROM s", "SELECT *"),
    ],
)
def test_a_query_that_a_watermark_makes_a_subquery_is_built_with_the_reason(
    between: Callable[[str, str], Bench], query: str, reason: str
) -> None:
    bench = between("sqlite", "duckdb")
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1), (2)")
    plan = bench.plan(query, strategy=Strategy.APPEND, watermark="k")
    # without rows in the destination there is no condition
    assert bench.run(plan).last(SourceQueryBuilt) == SourceQueryBuilt(query)
    bench.at_source("INSERT INTO s VALUES (3)")
    for is_dry in (True, False):
        built = bench.run(replace(plan, dry_run=is_dry)).last(SourceQueryBuilt)
        assert built.subquery_reason == reason
        assert ("pipekit_q" in built.sql) == bool(reason)
