"""Publishing is atomic for readers and after failures, and is refused where it would do damage."""

from __future__ import annotations

import threading
from dataclasses import replace

import psycopg
import pytest

from connections.sdk.errors import CountMismatch, InvalidValue, Lost, Refused
from connections.sdk.schema import Column
from runs.engine import events
from runs.engine.plan import FullPublish, Strategy
from runs.engine.publish.commit import find_published
from runs.engine.publish.publish import publish_staged
from runs.engine.publish.staging import StagedRows
from runs.engine.sync import execute_plan
from tests.harness.bench import Bench
from tests.integration.engine.publish.numbers import QUERY, plan_for, stored_rows

pytestmark = pytest.mark.usefixtures("transfer_in_process")
COLUMNS = (Column(dest_name="k", dest_type="integer"), Column(dest_name="v", dest_type="text"))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("strategy", list(Strategy))
def test_a_failed_run_leaves_the_destination_byte_for_byte(numbers: Bench, strategy: Strategy) -> None:
    numbers.run(numbers.plan(QUERY))
    numbers.at_destination("ALTER TABLE sync.t ADD CONSTRAINT short CHECK (length(v) < 6)")
    before = stored_rows(numbers)
    numbers.at_source("INSERT INTO s VALUES (101, 'much too long')")
    with pytest.raises(InvalidValue, match="short"):
        numbers.run(plan_for(numbers, strategy))
    assert stored_rows(numbers) == before


def test_readers_see_either_the_old_or_the_new_table(numbers: Bench) -> None:
    plan = numbers.plan(QUERY, full_publish=FullPublish.DELETE)
    numbers.run(plan)
    counts: set[int] = set()
    stop = threading.Event()

    def read() -> None:
        with psycopg.connect(numbers.destination.url, autocommit=True) as connection:
            while not stop.is_set():
                row = connection.execute("SELECT count(*) FROM sync.t").fetchone()
                assert row is not None
                counts.add(row[0])

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for size in (200, 150, 300):
            numbers.at_source("DELETE FROM s", f"INSERT INTO s SELECT n, 'v' || n FROM generate_series(1, {size}) n")
            numbers.run(plan)
        numbers.run(replace(plan, full_publish=FullPublish.TRUNCATE))
    finally:
        stop.set()
        reader.join()
    assert counts <= {100, 200, 150, 300}
    assert len(counts) > 1


def test_an_empty_source_does_not_replace_a_filled_table(numbers: Bench) -> None:
    numbers.run(numbers.plan(QUERY))
    before = stored_rows(numbers)
    numbers.at_source("DELETE FROM s")
    with pytest.raises(Refused, match="100 rows .* by no rows"):
        numbers.run(numbers.plan(QUERY))
    assert stored_rows(numbers) == before


def test_a_refresh_with_less_than_half_of_the_rows_is_refused(numbers: Bench) -> None:
    numbers.run(numbers.plan(QUERY))
    numbers.at_source("DELETE FROM s WHERE k > 49")
    with pytest.raises(Refused):
        numbers.run(numbers.plan(QUERY))
    numbers.at_source("INSERT INTO s VALUES (50, 'v')")
    assert numbers.run(numbers.plan(QUERY)).counts == (50, 0, 100)


def test_force_overrides_the_limit_with_a_warning(numbers: Bench) -> None:
    numbers.run(numbers.plan(QUERY))
    numbers.at_source("DELETE FROM s")
    result = numbers.run(numbers.plan(QUERY, force=True))
    assert result.counts == (0, 0, 100)
    assert "forced" in result.warnings[0]


def test_a_first_load_without_rows_creates_an_empty_table(numbers: Bench) -> None:
    numbers.at_source("DELETE FROM s")
    assert numbers.run(numbers.plan(QUERY)).counts == (0, 0, 0)
    assert numbers.rows() == []


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("strategy", list(Strategy))
def test_publishing_the_same_run_again_changes_nothing(numbers: Bench, strategy: Strategy) -> None:
    plan = plan_for(numbers, strategy, run="the-run", full_publish=FullPublish.TRUNCATE)
    numbers.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.t (k int, v text)")
    first = list(execute_plan(plan))
    before = stored_rows(numbers)
    second = list(publish_staged(plan, StagedRows(columns=COLUMNS, rows=100)))
    assert [event for event in first if isinstance(event, events.Published)] == [
        replace(event, recovered=False) for event in second if isinstance(event, events.Published)
    ]
    assert stored_rows(numbers) == before


def test_a_run_that_was_overtaken_cannot_publish(numbers: Bench) -> None:
    numbers.run(numbers.plan(QUERY))
    before = stored_rows(numbers)
    plan = numbers.plan(QUERY, run="the-overtaken-run")
    with pytest.raises(Lost, match="took over"):
        list(publish_staged(plan, StagedRows(columns=COLUMNS, rows=100)))
    assert stored_rows(numbers) == before


def test_a_run_that_was_overtaken_cannot_write_to_staging(numbers: Bench) -> None:
    with pytest.raises(Lost, match="took over"):
        for event in execute_plan(numbers.plan(QUERY)):
            if isinstance(event, events.StepFinished) and event.step == "stage":
                numbers.at_destination("UPDATE pipekit_staging.pipekit_claims SET run = 'the-later-run'")
    assert numbers.rows("SELECT * FROM pipekit_staging.m") == []


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("strategy", list(Strategy))
def test_a_staging_table_that_lost_rows_is_not_published(numbers: Bench, strategy: Strategy) -> None:
    plan = plan_for(numbers, strategy, run="the-run", full_publish=FullPublish.TRUNCATE)
    numbers.at_destination("CREATE SCHEMA sync", "CREATE TABLE sync.t (k int, v text)")
    list(execute_plan(plan))
    # as after a crash of the server, which truncates unlogged tables; without the commit record, this is a new run
    numbers.at_destination("DELETE FROM pipekit_staging.m WHERE k > 50", "DELETE FROM pipekit_staging.pipekit_commits")
    before = stored_rows(numbers)
    with pytest.raises(CountMismatch, match="holds 50 rows, 100 were written"):
        list(publish_staged(plan, StagedRows(columns=COLUMNS, rows=100)))
    assert stored_rows(numbers) == before


def test_a_run_finds_its_commit_record_in_the_destination(numbers: Bench) -> None:
    plan = numbers.plan(QUERY, run="the-run")
    assert find_published(plan) is None
    list(execute_plan(plan))
    published = find_published(plan)
    assert published is not None
    assert (published.inserted, published.recovered) == (100, True)


def test_a_dry_run_writes_nothing_and_works_while_the_source_is_down(numbers: Bench) -> None:
    numbers.run(plan_for(numbers, Strategy.INCREMENTAL, watermark="k"))
    numbers.at_destination("DROP SCHEMA pipekit_staging CASCADE")
    before = stored_rows(numbers)
    unreachable = replace(numbers.source, url="postgresql://127.0.0.1:1/gone")
    plan = replace(plan_for(numbers, Strategy.INCREMENTAL, watermark="k"), dry_run=True, source=unreachable)
    result = numbers.run(plan)
    assert result.source_sql == QUERY + " WHERE k > 100"
    assert "INSERT INTO" in result.last(events.MergeSqlBuilt).sql
    assert stored_rows(numbers) == before
    assert numbers.rows("SELECT to_regnamespace('pipekit_staging')") == [(None,)]
