"""A source table of a hundred numbered rows, and plans that read it."""

from __future__ import annotations

from runs.engine.plan import Plan, Strategy
from tests.harness.bench import Bench, Rows

QUERY = "SELECT k, v FROM s"


def stored_rows(bench: Bench) -> Rows:
    return bench.rows("SELECT ctid::text, xmin::text, * FROM sync.t ORDER BY ctid")


def plan_for(bench: Bench, strategy: Strategy, **changes: object) -> Plan:
    key = ("k",) if strategy in (Strategy.INCREMENTAL, Strategy.UPSERT) else ()
    return bench.plan(QUERY, strategy=strategy, merge_key=key, **changes)
