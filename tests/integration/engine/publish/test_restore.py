"""Putting back the former table of an exchange, and when that is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connections.sdk.errors import NotSupported, PipekitError, Refused, TableMissing
from runs.engine.events import MethodChosen, Published
from runs.engine.plan import FullPublish, Plan, Strategy
from tests.harness.bench import Bench, Rows
from tests.integration.engine.publish.numbers import QUERY

pytestmark = pytest.mark.usefixtures("transfer_in_process")
FORMER, NEW = [(1, "former"), (2, "former")], [(1, "new"), (2, "new"), (3, "new")]
DESTINATION = [
    "CREATE SCHEMA sync",
    "CREATE TABLE sync.parent (k int PRIMARY KEY)",
    "INSERT INTO sync.parent SELECT generate_series(1, 9)",
    "CREATE TABLE sync.t (k int PRIMARY KEY REFERENCES sync.parent ON DELETE CASCADE, v text)",
    "CREATE INDEX by_v ON sync.t (v)",
    "INSERT INTO sync.t VALUES (1, 'former'), (2, 'former')",
]
DEFINITION = """
SELECT relname::text, pg_get_indexdef(oid) FROM pg_class WHERE relkind = 'i' AND relnamespace = 'sync'::regnamespace
UNION ALL SELECT conname::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'sync.t'::regclass
ORDER BY 1, 2
"""


@pytest.fixture
def exchanged(pg_bench: Bench) -> Bench:
    """A table that a full refresh has exchanged, with its former one kept."""
    pg_bench.at_destination(*DESTINATION)
    pg_bench.at_source("CREATE TABLE s (k int, v text)", "INSERT INTO s SELECT n, 'new' FROM generate_series(1, 3) n")
    result = pg_bench.run(pg_bench.plan(QUERY))
    assert result.last(MethodChosen).method == "swap"
    assert pg_bench.rows() == NEW and former(pg_bench) == FORMER
    return pg_bench


def former(bench: Bench) -> Rows:
    return bench.rows("SELECT * FROM pipekit_staging.m ORDER BY 1")


def restore_plan(bench: Bench, **changes: object) -> Plan:
    return bench.plan(QUERY, restore=True, **changes)


def test_the_former_table_is_put_back_with_everything_that_it_had(exchanged: Bench) -> None:
    before = exchanged.rows(DEFINITION)
    # the former table must not keep rows of other tables from being deleted, nor be deleted from with them
    exchanged.at_destination("DELETE FROM sync.parent WHERE k > 3")
    result = exchanged.run(restore_plan(exchanged))
    published = result.last(Published)
    assert (published.inserted, published.updated, published.deleted) == (2, 0, 3)
    assert published.kept_bytes > 0
    assert exchanged.rows() == FORMER and former(exchanged) == NEW
    assert exchanged.rows(DEFINITION) == before
    with pytest.raises(PipekitError, match="violates foreign key"):
        exchanged.at_destination("INSERT INTO sync.t VALUES (77, 'no parent')")
    # once: the table that was replaced may have been written to by anything
    with pytest.raises(TableMissing, match="No former table of m is kept"):
        exchanged.run(restore_plan(exchanged))


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO sync.t VALUES (4, 'mine')",
        "UPDATE sync.t SET v = 'mine' WHERE k = 2",
        "DELETE FROM sync.t WHERE k = 3",
        "DELETE FROM sync.t WHERE k = 3; INSERT INTO sync.t VALUES (4, 'mine')",
        "TRUNCATE sync.t",
        "TRUNCATE sync.t; INSERT INTO sync.t SELECT n, 'new' FROM generate_series(1, 3) n",
    ],
)
def test_rows_that_were_written_since_are_not_lost(exchanged: Bench, change: str) -> None:
    exchanged.at_destination(*change.split(";"))
    before = exchanged.rows()
    with pytest.raises(Refused, match="Rows of sync.t were written since run .* published it; nothing was changed"):
        exchanged.run(restore_plan(exchanged))
    assert exchanged.rows() == before and former(exchanged) == FORMER


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("CREATE VIEW sync.v AS SELECT k FROM sync.t", "view sync.v depends on it"),
        ("ALTER TABLE sync.t ADD COLUMN note text", "column note"),
        ("CREATE INDEX another ON sync.t (v, k)", "index another"),
    ],
)
def test_a_table_that_was_changed_since_is_not_exchanged(exchanged: Bench, change: str, reason: str) -> None:
    exchanged.at_destination(change)
    with pytest.raises(Refused, match=reason):
        exchanged.run(restore_plan(exchanged))
    assert exchanged.rows("SELECT k, v FROM sync.t ORDER BY 1") == NEW and former(exchanged) == FORMER


def test_vacuum_and_reading_are_no_changes(exchanged: Bench) -> None:
    exchanged.at_destination("VACUUM FREEZE sync.t", "SELECT count(*) FROM sync.t")
    exchanged.run(restore_plan(exchanged))
    assert exchanged.rows() == FORMER


@pytest.mark.parametrize("strategy", [Strategy.FULL, Strategy.UPSERT])
def test_the_next_run_drops_the_former_table(exchanged: Bench, strategy: Strategy) -> None:
    plan = exchanged.plan(QUERY, strategy=strategy, merge_key=("k",), full_publish=FullPublish.TRUNCATE)
    exchanged.run(plan)
    assert former(exchanged) == NEW
    with pytest.raises(TableMissing, match="No former table of m is kept"):
        exchanged.run(restore_plan(exchanged))


def test_without_keep_previous_it_is_dropped_at_once(exchanged: Bench) -> None:
    result = exchanged.run(exchanged.plan(QUERY, keep_previous=False))
    assert result.last(MethodChosen).method == "swap" and result.last(Published).kept_bytes is None
    assert exchanged.rows("SELECT to_regclass('pipekit_staging.m')") == [(None,)]
    with pytest.raises(TableMissing, match="No former table of m is kept"):
        exchanged.run(restore_plan(exchanged))


def test_a_system_that_keeps_no_former_table_says_so(bench: Bench) -> None:
    files = Bench(bench.source, replace(bench.source, kind="duckdb", url=bench.source.url.replace("sqlite", "duckdb")))
    with pytest.raises(NotSupported, match="On duckdb a full refresh keeps no former table"):
        files.run(restore_plan(files))
