"""Names of columns, tables and schemas that are long, reserved or quoted, contain spaces, or collide."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.schema import TableName
from runs.engine.plan import Limits, Strategy
from runs.engine.verify.plan_repair import repair_plan
from runs.engine.verify.verify import Options, verify_module
from tests.harness.bench import Bench
from tests.harness.verification import counts, fast_pace

pytestmark = pytest.mark.usefixtures("transfer_in_process")

_LONG = "l" * 63


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("column", "strategy"),
    [
        ('with "quotes"', Strategy.INCREMENTAL),
        (_LONG, Strategy.UPSERT),
        ("pipekit_row", Strategy.APPEND),
        *(
            pytest.param(name, Strategy.UPSERT, marks=pytest.mark.matrix)
            for name in ("select", "two words", "UPPER", "1st", "a.b", "s", "excluded")
        ),
        *(
            pytest.param(name, Strategy.INCREMENTAL, marks=pytest.mark.matrix)
            for name in ("user", "per%cent", "d", "ünïcödé")
        ),
    ],
)
def test_a_column_of_any_name_can_be_the_key_and_the_watermark(bench: Bench, column: str, strategy: Strategy) -> None:
    quoted = '"' + column.replace('"', '""') + '"'
    bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'a'), (2, 'b')")
    key = (column,) if strategy in (Strategy.INCREMENTAL, Strategy.UPSERT) else ()
    watermark = "" if strategy is Strategy.FULL else column
    plan = bench.plan(f"SELECT k AS {quoted}, v FROM s", strategy=strategy, merge_key=key, watermark=watermark)
    bench.run(plan)
    bench.at_source("INSERT INTO s VALUES (3, 'c')")
    bench.run(plan)
    assert bench.rows(f"SELECT {quoted}, v FROM sync.t ORDER BY 1") == [(1, "a"), (2, "b"), (3, "c")]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    "table",
    [
        TableName("my schema", "my table"),
        TableName("Sync", "Order"),
        TableName("a.b", 'c"d'),
        TableName("s" * 63, "t" * 63),
    ],
)
def test_a_schema_and_table_of_any_name_can_be_the_destination(bench: Bench, table: TableName) -> None:
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1)")
    plan = bench.plan("SELECT k FROM s", strategy=Strategy.UPSERT, merge_key=("k",), dest_table=table)
    bench.run(plan)
    assert bench.run(plan).counts == (0, 1, 0)
    schema, name = (f'"{part.replace(chr(34), chr(34) * 2)}"' for part in (table.schema, table.table))
    assert bench.rows(f"SELECT k FROM {schema}.{name}") == [(1,)]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("strategy", Strategy)
def test_names_with_percent_signs_are_synced_verified_repaired_and_deleted_by_key(
    between: Callable[[str, str], Bench], strategy: Strategy, kind: str
) -> None:
    bench = between(kind, "postgresql")
    bench.at_source(
        'CREATE TABLE "s%s" ("k%s" INTEGER, "v%(x)s" TEXT)', "INSERT INTO \"s%s\" VALUES (1, 'a'), (2, '%s'), (3, 'c')"
    )
    keyed = strategy in (Strategy.INCREMENTAL, Strategy.UPSERT)
    plan = bench.plan(
        'SELECT "k%s" AS "k%s", "v%(x)s" AS "a%s" FROM "s%s"',
        strategy=strategy,
        module="m%s",
        dest_table=TableName("sync%", "t%d"),
        merge_key=("k%s",) if keyed else (),
        watermark="" if strategy is Strategy.FULL else "k%s",
        key_sync=keyed,
        limits=Limits(max_delete_share=1),
    )
    bench.run(plan)
    bench.at_source("INSERT INTO \"s%s\" VALUES (4, '%d')", 'DELETE FROM "s%s" WHERE "k%s" = 1')
    bench.run(plan)
    rows = bench.rows('SELECT * FROM "sync%"."t%d" ORDER BY 1')
    assert rows == [*([(1, "a")] if strategy is Strategy.APPEND else []), (2, "%s"), (3, "c"), (4, "%d")]
    if not keyed:
        return
    bench.at_destination(
        """UPDATE "sync%"."t%d" SET "a%s" = 'x' WHERE "k%s" = 2""", """DELETE FROM "sync%"."t%d" WHERE "k%s" = 3"""
    )
    differing = verify_module(plan, Options(pace=fast_pace()))
    assert counts(differing) == (1, 0, 1)
    bench.run(repair_plan(plan, differing))
    assert counts(verify_module(plan, Options(pace=fast_pace()))) == (0, 0, 0)


def test_two_long_table_names_with_the_same_beginning_get_two_indexes(bench: Bench) -> None:
    bench.at_source("CREATE TABLE s (k INTEGER)", "INSERT INTO s VALUES (1)")
    for last in "ab":
        table = TableName("sync", "t" * 62 + last)
        bench.run(bench.plan("SELECT k FROM s", strategy=Strategy.UPSERT, merge_key=("k",), dest_table=table))
    assert bench.rows("SELECT count(*) FROM pg_indexes WHERE schemaname = 'sync'") == [(2,)]


def test_select_star_gets_safe_names_and_the_bound_uses_the_source_name(bench: Bench) -> None:
    bench.at_source('CREATE TABLE s ("DCORD#" INTEGER, "Company Name" TEXT)', "INSERT INTO s VALUES (1, 'x')")
    plan = bench.plan("SELECT * FROM s", strategy=Strategy.INCREMENTAL, merge_key=("dcord",), watermark="dcord")
    bench.run(plan)
    bench.at_source("INSERT INTO s VALUES (2, 'y')")
    result = bench.run(plan)
    assert '"DCORD#" > 1' in result.source_sql
    assert bench.rows("SELECT dcord, company_name FROM sync.t ORDER BY 1") == [(1, "x"), (2, "y")]


def test_columns_that_get_the_same_name_are_refused(bench: Bench) -> None:
    bench.at_source('CREATE TABLE s ("A#" INTEGER, "A$" INTEGER)')
    with pytest.raises(ConfigurationInvalid) as caught:
        bench.run(bench.plan("SELECT * FROM s"))
    assert "Columns 1 and 2 would be the same column in the destination: “a” and “a”." in caught.value.message


def test_a_name_of_more_than_63_bytes_is_refused(bench: Bench) -> None:
    bench.at_source("CREATE TABLE s (k INTEGER)")
    with pytest.raises(ConfigurationInvalid, match="63"):
        bench.run(bench.plan(f"SELECT k AS {'k' * 64} FROM s"))
