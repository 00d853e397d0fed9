"""What remains after an exchange: the former table, its record, and what the next run makes of them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from runs.engine.events import MethodChosen
from runs.engine.plan import FullPublish, Strategy
from tests.harness.bench import Bench

pytestmark = pytest.mark.usefixtures("transfer_in_process")
QUERY = "SELECT n AS k, 'new' AS v FROM generate_series(1, 3) n"
RECORD = "SELECT module, run, columns, data_version IS NOT NULL FROM pipekit_staging.pipekit_exchanges"
STAGING = "SELECT to_regclass('pipekit_staging.m')::text"
INDEXES = "SELECT count(*) FROM pg_index WHERE indrelid = 'pipekit_staging.m'::regclass"


@pytest.fixture
def table(pg_bench: Bench) -> Bench:
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (k int PRIMARY KEY, v text, w int)",
        "INSERT INTO sync.t VALUES (1, 'old'), (2, 'old')",
    )
    return pg_bench


def test_the_former_table_is_the_staging_table_and_the_record_has_the_columns_of_the_run(table: Bench) -> None:
    plan = table.plan(QUERY)
    assert table.run(plan).counts == (3, 0, 2)
    assert table.rows("SELECT k, v FROM pipekit_staging.m ORDER BY 1") == [(1, "old"), (2, "old")]
    [(module, _, columns, is_kept)] = table.rows(RECORD)
    assert (module, json.loads(columns), is_kept) == ("m", ["k", "v"], True)


def test_without_keep_previous_no_former_table_remains(table: Bench) -> None:
    table.run(table.plan(QUERY, keep_previous=False))
    assert table.rows(STAGING) == [(None,)]
    assert table.rows(RECORD)[0][3] is False
    assert len(table.rows()) == 3


def test_a_run_that_copies_drops_the_former_table_and_its_record(table: Bench) -> None:
    table.run(table.plan(QUERY))
    table.run(table.plan(QUERY, full_publish=FullPublish.TRUNCATE))
    assert table.rows(RECORD) == []
    assert table.rows(INDEXES) == [(0,)]


def test_the_constraints_of_an_unlogged_former_table_do_not_apply_to_staged_rows(table: Bench) -> None:
    """A staging table is unlogged, too, and is emptied rather than created if it has the same columns."""
    table.at_destination("DROP TABLE sync.t", "CREATE UNLOGGED TABLE sync.t (k int PRIMARY KEY, v text)")
    assert table.run(table.plan(QUERY)).last(MethodChosen).method == "swap"
    doubled = f"{QUERY} UNION ALL SELECT 1, 'newer'"
    plan = table.plan(doubled, strategy=Strategy.UPSERT, merge_key=("k",), watermark="v", keep_latest=True)
    table.run(plan)
    assert table.rows() == [(1, "newer"), (2, "new"), (3, "new")]


def test_a_failed_run_leaves_the_table_and_the_next_one_exchanges_it(table: Bench) -> None:
    table.at_destination("ALTER TABLE sync.t ADD CONSTRAINT short CHECK (length(v) < 9)")
    before = table.rows("SELECT ctid::text, xmin::text, * FROM sync.t")
    with pytest.raises(Exception, match="short"):
        table.run(table.plan("SELECT 1 AS k, 'much too long' AS v"))
    assert table.rows("SELECT ctid::text, xmin::text, * FROM sync.t") == before
    assert table.run(table.plan(QUERY)).last(MethodChosen).method == "swap"


def test_two_modules_fill_tables_with_equal_names_of_indexes(table: Bench) -> None:
    table.at_destination("CREATE SCHEMA other", "CREATE TABLE other.t (LIKE sync.t INCLUDING ALL)")
    for _ in range(2):
        for schema, module in (("sync", "m"), ("other", "n")):
            plan = table.plan(QUERY, module=module, full_publish=FullPublish.SWAP)
            table.run(replace(plan, dest_table=replace(plan.dest_table, schema=schema)))
    names = "SELECT schemaname::text, indexname::text FROM pg_indexes WHERE tablename = 't' ORDER BY 1"
    assert table.rows(names) == [("other", "t_pkey"), ("sync", "t_pkey")]


def test_statistics_for_the_planner_are_those_of_the_new_rows(table: Bench) -> None:
    table.run(table.plan(QUERY))
    assert table.rows("SELECT reltuples FROM pg_class WHERE oid = 'sync.t'::regclass") == [(3.0,)]
