"""Plans for tables whose key has a collation."""

from __future__ import annotations

from dataclasses import replace

from connections.sdk.schema import TableName
from runs.engine.plan import Limits, Plan, Strategy
from tests.harness.bench import Bench

TABLE = TableName("main", "t")
QUERY = "SELECT code, v, n FROM s"
KEYED = [Strategy.UPSERT, Strategy.INCREMENTAL]


def plan_for(bench: Bench, strategy: Strategy, **changes: object) -> Plan:
    limits = Limits(max_delete_share=1)
    plan = bench.plan(QUERY, dest_table=TABLE, strategy=strategy, merge_key=("code",), watermark="n", limits=limits)
    return replace(plan, **changes)  # type: ignore[arg-type]
