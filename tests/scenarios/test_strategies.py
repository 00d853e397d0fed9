"""Each strategy, with the rows of the source and of the destination before and after its runs."""

from __future__ import annotations

import pytest

from connections.sdk.errors import DuplicateKeys
from runs.engine.plan import FullPublish, Strategy
from tests.harness.bench import Bench

pytestmark = pytest.mark.usefixtures("transfer_in_process")

ORDERS = 'SELECT "DCORD#" AS dcord, RTRIM(DCOTYP) AS dcotyp, DCODAT AS dcodat FROM QCRH'


@pytest.fixture
def orders(bench: Bench) -> Bench:
    bench.at_source(
        'CREATE TABLE QCRH ("DCORD#" INTEGER, DCOTYP CHAR(5), DCODAT DATE)',
        "INSERT INTO QCRH VALUES (1, 'A    ', '2026-01-01'), (2, 'B    ', '2026-01-02'), (3, NULL, '2026-01-03')",
    )
    return bench


def keys(bench: Bench) -> list[int]:
    return [row[0] for row in bench.rows("SELECT dcord FROM sync.t ORDER BY 1")]


def test_full_replaces_the_destination_with_the_rows_of_the_source(orders: Bench) -> None:
    plan = orders.plan(ORDERS)
    assert orders.run(plan).counts == (3, 0, 0)
    orders.at_source('DELETE FROM QCRH WHERE "DCORD#" = 2', "UPDATE QCRH SET DCOTYP = 'Z' WHERE \"DCORD#\" = 1")
    assert orders.run(plan).counts == (2, 0, 3)
    assert orders.rows("SELECT dcord, dcotyp, dcodat::text FROM sync.t ORDER BY 1") == [
        (1, "Z", "2026-01-01"),
        (3, None, "2026-01-03"),
    ]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("by_delete", [True, False])
def test_full_has_the_same_result_by_truncate_and_by_delete(orders: Bench, by_delete: bool) -> None:
    plan = orders.plan(ORDERS, full_publish=FullPublish.DELETE if by_delete else FullPublish.AUTO)
    orders.run(plan)
    assert orders.run(plan).counts == (3, 0, 3)
    assert keys(orders) == [1, 2, 3]


def test_incremental_reads_only_rows_above_the_watermark(orders: Bench) -> None:
    plan = orders.plan(ORDERS, strategy=Strategy.INCREMENTAL, merge_key=("dcord",), watermark="dcord")
    first = orders.run(plan)
    assert first.source_sql == ORDERS
    assert first.counts == (3, 0, 0)
    orders.at_source("INSERT INTO QCRH VALUES (12345, 'N', '2026-02-01')", 'DELETE FROM QCRH WHERE "DCORD#" = 1')
    second = orders.run(plan)
    assert second.source_sql == ORDERS + ' WHERE "DCORD#" > 3'
    assert second.counts == (1, 0, 0)
    # the row deleted at the source stays: an incremental run does not detect deletions
    assert keys(orders) == [1, 2, 3, 12345]


def test_incremental_replaces_rows_that_are_read_again(orders: Bench) -> None:
    plan = orders.plan(ORDERS, strategy=Strategy.INCREMENTAL, merge_key=("dcord",), watermark="dcodat")
    orders.run(plan)
    orders.at_source(
        "UPDATE QCRH SET DCOTYP = 'NEW', DCODAT = '2026-03-01' WHERE \"DCORD#\" = 1",
        "INSERT INTO QCRH VALUES (4, 'D', '2026-03-01')",
    )
    second = orders.run(plan)
    assert second.source_sql == ORDERS + " WHERE DCODAT >= '2026-01-03'"
    # row 3 is read again, because other rows with the highest watermark may be new
    assert second.counts == (1, 2, 0)
    assert orders.rows("SELECT dcord, dcotyp FROM sync.t ORDER BY 1") == [(1, "NEW"), (2, "B"), (3, None), (4, "D")]


def test_upsert_updates_rows_and_keeps_those_that_the_source_lacks(orders: Bench) -> None:
    plan = orders.plan(ORDERS, strategy=Strategy.UPSERT, merge_key=("dcord",))
    orders.run(plan)
    orders.at_source(
        'DELETE FROM QCRH WHERE "DCORD#" = 2',
        "UPDATE QCRH SET DCOTYP = 'X' WHERE \"DCORD#\" = 3",
        "INSERT INTO QCRH VALUES (9, 'I', '2026-01-09')",
    )
    assert orders.run(plan).counts == (1, 2, 0)
    assert orders.rows("SELECT dcord, dcotyp FROM sync.t ORDER BY 1") == [(1, "A"), (2, "B"), (3, "X"), (9, "I")]


def test_upsert_with_a_watermark_reads_only_the_delta(orders: Bench) -> None:
    plan = orders.plan(ORDERS, strategy=Strategy.UPSERT, merge_key=("dcord",), watermark="dcodat")
    orders.run(plan)
    orders.at_source("INSERT INTO QCRH VALUES (4, 'D', '2026-02-01')")
    second = orders.run(plan)
    assert second.source_sql.endswith("WHERE DCODAT >= '2026-01-03'")
    assert second.counts == (1, 1, 0)


def test_append_with_a_watermark_does_not_duplicate_rows_that_are_read_again(orders: Bench) -> None:
    plan = orders.plan(ORDERS, strategy=Strategy.APPEND, watermark="dcodat")
    orders.run(plan)
    # a duplicate of an existing row, another row with the highest watermark, and a later row
    orders.at_source("INSERT INTO QCRH VALUES (3, NULL, '2026-01-03'), (5, 'T', '2026-01-03'), (6, 'L', '2026-01-04')")
    assert orders.run(plan).counts == (3, 0, 0)
    assert keys(orders) == [1, 2, 3, 3, 5, 6]
    assert orders.run(plan).counts == (0, 0, 0)
    assert keys(orders) == [1, 2, 3, 3, 5, 6]


def test_append_with_an_overlap_does_not_duplicate_rows(orders: Bench) -> None:
    plan = orders.plan(ORDERS, strategy=Strategy.APPEND, watermark="dcodat", overlap="30 days")
    orders.run(plan)
    second = orders.run(plan)
    assert second.source_sql.endswith("WHERE DCODAT >= '2025-12-04'")
    assert second.counts == (0, 0, 0)


def test_append_without_a_watermark_adds_all_rows_in_each_run(orders: Bench) -> None:
    plan = orders.plan(ORDERS, strategy=Strategy.APPEND)
    orders.run(plan)
    orders.run(plan)
    assert keys(orders) == [1, 1, 2, 2, 3, 3]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("strategy", [Strategy.INCREMENTAL, Strategy.UPSERT])
def test_composite_keys_with_nulls_are_matched(bench: Bench, strategy: Strategy) -> None:
    bench.at_source("CREATE TABLE p (a INTEGER, b TEXT, v TEXT)")
    bench.at_source("INSERT INTO p VALUES (1, NULL, 'x'), (1, '', 'y'), (NULL, 'q', 'z'), (2, 'b', 'w')")
    plan = bench.plan("SELECT a, b, v FROM p", strategy=strategy, merge_key=("a", "b"))
    bench.run(plan)
    bench.at_source("UPDATE p SET v = v || '!'", "INSERT INTO p VALUES (NULL, NULL, 'new')")
    assert bench.run(plan).counts == (1, 4, 0)
    assert sorted(bench.rows("SELECT a, b, v FROM sync.t"), key=repr) == sorted(
        [(1, None, "x!"), (1, "", "y!"), (None, "q", "z!"), (2, "b", "w!"), (None, None, "new")], key=repr
    )


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("strategy", [Strategy.INCREMENTAL, Strategy.UPSERT])
def test_rows_are_merged_into_an_existing_table_without_a_unique_key(orders: Bench, strategy: Strategy) -> None:
    orders.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (dcord int, dcotyp text, dcodat date, mine text DEFAULT 'kept')",
        "INSERT INTO sync.t VALUES (1, 'old', NULL, 'hand-made'), (7, 'only here', NULL, 'hand-made')",
    )
    result = orders.run(orders.plan(ORDERS, strategy=strategy, merge_key=("dcord",)))
    assert result.counts == (2, 1, 0)
    assert orders.rows("SELECT dcord, dcotyp FROM sync.t ORDER BY 1") == [
        (1, "A"),
        (2, "B"),
        (3, None),
        (7, "only here"),
    ]


@pytest.mark.parametrize("strategy", [Strategy.INCREMENTAL, Strategy.UPSERT])
def test_duplicate_keys_fail_the_run_with_examples(orders: Bench, strategy: Strategy) -> None:
    orders.at_source("INSERT INTO QCRH VALUES (2, 'again', '2026-01-02')")
    with pytest.raises(DuplicateKeys, match=r"\(2\) 2 times"):
        orders.run(orders.plan(ORDERS, strategy=strategy, merge_key=("dcord",)))
    assert orders.rows("SELECT to_regclass('sync.t')") == [(None,)]


def test_keep_latest_keeps_the_newest_row_of_each_key(orders: Bench) -> None:
    orders.at_source("INSERT INTO QCRH VALUES (2, 'newest', '2026-05-01'), (2, 'middle', '2026-03-01')")
    orders.run(
        orders.plan(ORDERS, strategy=Strategy.INCREMENTAL, merge_key=("dcord",), watermark="dcodat", keep_latest=True)
    )
    assert orders.rows("SELECT dcotyp FROM sync.t WHERE dcord = 2") == [("newest",)]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("strategy", [Strategy.INCREMENTAL, Strategy.UPSERT])
def test_with_supports_deletes_off_rows_are_only_inserted_and_updates_are_not_counted(
    orders: Bench, strategy: Strategy
) -> None:
    plan = orders.plan(ORDERS, strategy=strategy, merge_key=("dcord",), supports_deletes=False)
    orders.run(plan)
    assert orders.run(plan).counts == (3, None, 0)
    assert keys(orders) == [1, 1, 2, 2, 3, 3]
