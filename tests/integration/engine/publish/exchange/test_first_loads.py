"""A new table is the renamed staging table, with its indexes and the privileges that a new table has."""

from __future__ import annotations

import pytest

from connections.sdk.errors import DuplicateKeys
from runs.engine.events import MergeSqlBuilt, MethodChosen
from runs.engine.plan import Strategy
from tests.harness.bench import Bench

pytestmark = pytest.mark.usefixtures("transfer_in_process")
QUERY = "SELECT n AS k, n * 10 AS changed FROM generate_series(1, 3) n"
ROWS = [(1, 10), (2, 20), (3, 30)]
DOUBLED = f"{QUERY} UNION ALL SELECT 2, 25"
INDEXES = """
SELECT i.indisunique, pg_get_indexdef(i.indexrelid) LIKE '%NULLS NOT DISTINCT%',
  array_agg(a.attname::text ORDER BY a.attnum)
FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indexrelid
WHERE i.indrelid = 'sync.t'::regclass GROUP BY 1, 2, i.indexrelid ORDER BY 1 DESC
"""
KEY, WATERMARK = (True, True, ["k"]), (False, False, ["changed"])
PRIVILEGES = """
SELECT DISTINCT x.grantee::regrole::text, x.privilege_type FROM pg_class c, aclexplode(c.relacl) x
WHERE c.oid = 'sync.t'::regclass AND x.grantee <> c.relowner ORDER BY 1, 2
"""


@pytest.mark.parametrize(
    ("strategy", "indexes"),
    [
        (Strategy.FULL, []),
        (Strategy.APPEND, [WATERMARK]),
        (Strategy.INCREMENTAL, [KEY, WATERMARK]),
        (Strategy.UPSERT, [KEY, WATERMARK]),
    ],
)
def test_a_first_load_of_each_strategy_moves_the_staging_table(
    pg_bench: Bench, strategy: Strategy, indexes: list[tuple[bool, bool, list[str]]]
) -> None:
    key = ("k",) if strategy in (Strategy.INCREMENTAL, Strategy.UPSERT) else ()
    watermark = None if strategy is Strategy.FULL else "changed"
    plan = pg_bench.plan(QUERY, strategy=strategy, merge_key=key, watermark=watermark)
    result = pg_bench.run(plan)
    assert result.counts == (3, 0, 0)
    sql = result.last(MergeSqlBuilt).sql
    assert "SET SCHEMA" in sql and "INSERT" not in sql
    assert pg_bench.rows() == ROWS
    assert pg_bench.rows(INDEXES) == indexes
    assert pg_bench.rows("SELECT to_regclass('pipekit_staging.m')") == [(None,)]
    # the next run finds the key, and stages its rows again
    assert pg_bench.run(plan).last(MergeSqlBuilt).sql
    assert pg_bench.rows() == ROWS


def test_the_watermark_has_no_index_if_the_module_wants_none(pg_bench: Bench) -> None:
    pg_bench.run(pg_bench.plan(QUERY, strategy=Strategy.APPEND, watermark="changed", index_watermark=False))
    assert pg_bench.rows(INDEXES) == []


def test_duplicates_in_a_first_load_are_shown_and_no_table_is_created(pg_bench: Bench) -> None:
    with pytest.raises(DuplicateKeys, match=r"\(2\) 2 times"):
        pg_bench.run(pg_bench.plan(DOUBLED, strategy=Strategy.UPSERT, merge_key=("k",)))
    assert pg_bench.rows("SELECT to_regclass('sync.t')") == [(None,)]


def test_keep_latest_removes_duplicates_of_a_first_load(pg_bench: Bench) -> None:
    plan = pg_bench.plan(DOUBLED, strategy=Strategy.UPSERT, merge_key=("k",), watermark="changed", keep_latest=True)
    assert pg_bench.run(plan).counts == (3, 0, 0)
    assert pg_bench.rows() == [(1, 10), (2, 25), (3, 30)]
    assert pg_bench.rows(INDEXES) == [KEY, WATERMARK]


def test_a_new_table_has_the_default_privileges_of_its_schema(pg_bench: Bench) -> None:
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        "ALTER DEFAULT PRIVILEGES GRANT INSERT ON TABLES TO pg_monitor",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA sync GRANT SELECT ON TABLES TO pg_monitor WITH GRANT OPTION",
    )
    pg_bench.run(pg_bench.plan(QUERY))
    assert pg_bench.rows(PRIVILEGES) == [("pg_monitor", "INSERT"), ("pg_monitor", "SELECT")]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (
            ["ALTER DEFAULT PRIVILEGES IN SCHEMA pipekit_staging GRANT SELECT ON TABLES TO pg_monitor"],
            "there are default privileges for tables in the schema pipekit_staging",
        ),
        (
            ["CREATE PUBLICATION p FOR TABLES IN SCHEMA sync"],
            "the publication p publishes the tables of its schema",
        ),
        (
            [
                "CREATE FUNCTION sync.f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
                "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION sync.f()",
            ],
            "the event trigger e acts on CREATE TABLE",
        ),
    ],
)
def test_a_table_that_would_differ_from_a_created_one_is_created_and_filled(
    pg_bench: Bench, statements: list[str], reason: str
) -> None:
    pg_bench.at_destination("CREATE SCHEMA sync", "CREATE SCHEMA pipekit_staging", *statements)
    result = pg_bench.run(pg_bench.plan(QUERY))
    assert result.last(MethodChosen).why == f"the table is not exchanged, because {reason}"
    assert 'CREATE TABLE "sync"."t"' in result.last(MergeSqlBuilt).sql
    assert pg_bench.rows() == ROWS
    assert pg_bench.rows(PRIVILEGES) == []
