"""A destination table that invoices reference."""

from __future__ import annotations

from runs.engine.plan import FullPublish, Plan, Strategy
from tests.harness.bench import Bench

QUERY = "SELECT id, v FROM s"
INVOICES = "SELECT no, customer FROM sync.invoice ORDER BY no"
ALL = [(100, 1), (101, 2)]


def create_tables(bench: Bench, on_delete: str) -> None:
    bench.at_source("CREATE TABLE s (id bigint, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'new')")
    bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id bigint PRIMARY KEY, v text)",
        "INSERT INTO sync.t VALUES (1, 'a'), (2, 'b')",
        f"CREATE TABLE sync.invoice (no int PRIMARY KEY, customer bigint DEFAULT 1 REFERENCES sync.t {on_delete})",
        "INSERT INTO sync.invoice VALUES (100, 1), (101, 2)",
    )


def plan_for(bench: Bench, strategy: Strategy, **changes: object) -> Plan:
    key = ("id",) if strategy in (Strategy.INCREMENTAL, Strategy.UPSERT) else ()
    return bench.plan(QUERY, strategy=strategy, merge_key=key, full_publish=FullPublish.DELETE, **changes)
