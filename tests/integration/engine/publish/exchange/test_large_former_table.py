"""A large former table is dropped while the next run transfers its rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from connections.sdk.errors import LockTimeout
from connections.sdk.schema import TableName
from runs.engine import sync
from runs.engine.events import Event, MethodChosen, Staged
from runs.engine.plan import FullPublish, Plan
from runs.engine.publish import background_drop
from tests.harness.bench import Bench
from tests.processes.commands import wait_until

pytestmark = pytest.mark.usefixtures("transfer_in_process")
TABLES = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'pipekit_staging'::regnamespace"
OWN = f"{TABLES} AND relname NOT IN ('pipekit_claims', 'pipekit_commits', 'pipekit_exchanges')"


@pytest.fixture
def table(pg_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench whose destination table has a former table, which counts as a large one."""
    monkeypatch.setattr(background_drop, "_LARGE", 1)
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (k int PRIMARY KEY, v text)",
        "INSERT INTO sync.t VALUES (1, 'one')",
    )
    pg_bench.run(plan(pg_bench, 2))
    assert pg_bench.rows("SELECT * FROM pipekit_staging.m") == [(1, "one")]
    return pg_bench


def plan(bench: Bench, rows: int) -> Plan:
    query = f"SELECT n AS k, 'new' AS v FROM generate_series(1, {rows}) n"
    return bench.plan(query, full_publish=FullPublish.SWAP)


def refuse(plan: Plan, name: TableName, errors: list[Exception]) -> None:
    errors.append(LockTimeout(f"{name} is locked."))


def failing(*_: Any) -> Iterator[Event]:
    raise ZeroDivisionError
    yield


def test_it_is_dropped_before_the_new_table_gets_its_indexes(table: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    drop = background_drop._drop

    def drop_and_note(plan: Plan, name: TableName, errors: list[Exception]) -> None:
        threads.append(threading.current_thread().name)
        drop(plan, name, errors)

    monkeypatch.setattr(background_drop, "_drop", drop_and_note)
    assert table.run(plan(table, 3)).last(MethodChosen).method == "swap"
    assert threads == ["drop"]
    assert len(table.rows()) == 3
    assert table.rows(OWN) == [("m",)]
    assert table.rows("SELECT count(*) FROM pipekit_staging.m") == [(2,)]


def test_if_it_could_not_be_dropped_the_run_fails_and_the_next_one_drops_it(
    table: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(background_drop, "_drop", refuse)
        with pytest.raises(LockTimeout, match="dropped is locked"):
            table.run(plan(table, 3))
    assert len(table.rows()) == 2
    assert len(table.rows(OWN)) == 2

    table.run(plan(table, 4))
    assert len(table.rows()) == 4
    assert table.rows(OWN) == [("m",)]


@pytest.mark.parametrize("method", [FullPublish.TRUNCATE, FullPublish.SWAP])
def test_so_are_the_staged_rows_of_a_run_that_copied(table: Bench, method: FullPublish) -> None:
    for rows in 3, 4:
        table.run(replace(plan(table, rows), full_publish=FullPublish.TRUNCATE))
    before = table.rows("SELECT 'pipekit_staging.m'::regclass::oid")
    table.run(replace(plan(table, 5), full_publish=method))
    assert len(table.rows()) == 5
    assert table.rows(OWN) == [("m",)]
    assert table.rows("SELECT 'pipekit_staging.m'::regclass::oid") != before


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW public.debug AS SELECT * FROM pipekit_staging.m",
        "CREATE FUNCTION public.debug() RETURNS SETOF pipekit_staging.m LANGUAGE sql AS 'TABLE pipekit_staging.m'",
        "CREATE TABLE public.debug (rows pipekit_staging.m[])",
        "GRANT SELECT ON pipekit_staging.m TO PUBLIC",
    ],
)
def test_a_staging_table_with_which_something_would_be_lost_remains(table: Bench, statement: str) -> None:
    table.run(replace(plan(table, 3), full_publish=FullPublish.TRUNCATE))
    table.at_destination(statement)
    before = table.rows("SELECT 'pipekit_staging.m'::regclass::oid")
    table.run(replace(plan(table, 4), full_publish=FullPublish.TRUNCATE))
    assert table.rows("SELECT 'pipekit_staging.m'::regclass::oid") == before
    assert len(table.rows()) == 4


def test_if_it_could_not_be_dropped_a_run_that_copies_warns(table: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_drop, "_drop", refuse)
    result = table.run(replace(plan(table, 3), full_publish=FullPublish.TRUNCATE))
    assert any("was not dropped" in warning and "is locked" in warning for warning in result.warnings)
    assert len(table.rows()) == 3


def test_a_failed_transfer_leaves_none(table: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sync, "transfer_rows", failing)
        with pytest.raises(ZeroDivisionError):
            table.run(plan(table, 3))
    # nothing waits for it
    wait_until(lambda: table.rows(OWN) == [("m",)])
    assert len(table.rows()) == 2
    assert table.run(plan(table, 3)).last(Staged).rows == 3
