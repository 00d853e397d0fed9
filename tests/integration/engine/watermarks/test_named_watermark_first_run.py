"""A named watermark whose query reads the module's own table has its default until the first run creates the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from connections.sdk.errors import TableMissing
from runs.engine.plan import NamedWatermark, Plan
from tests.harness.bench import Bench

pytestmark = pytest.mark.usefixtures("transfer_in_process")

Between = Callable[[str, str], Bench]
KINDS = ["postgresql", "sqlite", "duckdb"]


@pytest.fixture
def orders(between: Between, request: pytest.FixtureRequest) -> Bench:
    bench = between("sqlite", getattr(request, "param", "postgresql"))
    bench.at_source("CREATE TABLE s (k integer)", "INSERT INTO s VALUES (1), (2), (3)")
    return bench


def since(bench: Bench, resolver: str, default: str | None = "1") -> Plan:
    named = NamedWatermark(name="since", connection=bench.destination, resolver_sql=resolver, default=default)
    return bench.plan("SELECT k FROM s WHERE k > {since}", named_watermarks=(named,), force=True)


def table_name(bench: Bench) -> str:
    return '"sync.t"' if bench.destination.kind == "sqlite" else "sync.t"


@pytest.mark.parametrize("orders", KINDS, indirect=True)
def test_the_first_run_uses_the_default_and_the_second_queries_the_table(orders: Bench) -> None:
    plan = since(orders, f"SELECT max(k) FROM {table_name(orders)} AS t WHERE k > (SELECT 0)")
    assert orders.run(plan).source_sql == "SELECT k FROM s WHERE k > 1"
    assert orders.rows(f"SELECT k FROM {table_name(orders)} ORDER BY 1") == [(2,), (3,)]
    assert orders.run(plan).source_sql == "SELECT k FROM s WHERE k > 3"


@pytest.mark.parametrize("orders", KINDS, indirect=True)
def test_without_a_default_the_error_hints_at_default_value(orders: Bench) -> None:
    with pytest.raises(TableMissing, match="which the module's first run creates") as caught:
        orders.run(since(orders, f"SELECT max(k) FROM {table_name(orders)}", default=None))
    assert "default_value" in caught.value.hint


@pytest.mark.parametrize("orders", KINDS, indirect=True)
def test_another_missing_table_is_an_error(orders: Bench) -> None:
    for resolver in (
        "SELECT max(k) FROM sync_t",
        f"SELECT max(t.k) FROM {table_name(orders)} AS t, nothere AS n",
        f"SELECT max(t.k) FROM nothere AS n JOIN {table_name(orders)} AS t ON true",
    ):
        with pytest.raises(TableMissing) as caught:
            orders.run(since(orders, resolver))
        assert "first run" not in caught.value.message


def test_table_names_are_compared_as_the_system_compares_them(orders: Bench) -> None:
    for resolver in ("SELECT max(k) FROM SYNC.T", 'WITH n AS (SELECT k FROM "sync"."t") SELECT max(k) FROM n'):
        assert orders.run(replace(since(orders, resolver), dry_run=True)).source_sql.endswith("> 1")
    with pytest.raises(TableMissing):
        orders.run(since(orders, 'SELECT max(k) FROM "SYNC"."T"'))


def test_a_table_of_the_same_name_in_another_connection_is_an_error(orders: Bench) -> None:
    named = NamedWatermark(
        name="since", connection=orders.source, resolver_sql='SELECT max(k) FROM "sync.t"', default="1"
    )
    with pytest.raises(TableMissing):
        orders.run(orders.plan("SELECT k FROM s WHERE k > {since}", named_watermarks=(named,)))


def test_a_query_that_only_sqlite_can_parse_fails_with_its_error(between: Between) -> None:
    orders = between("sqlite", "sqlite")
    orders.at_source("CREATE TABLE s (k integer)", "INSERT INTO s VALUES (1)")
    # SQLite ends an open comment at the end of the text
    with pytest.raises(TableMissing):
        orders.run(since(orders, f"SELECT max(k) FROM {table_name(orders)} /* the highest"))
