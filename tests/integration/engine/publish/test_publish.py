"""Publishing is atomic for readers and after failures, and is refused where it would do damage."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from connections.sdk.errors import CountMismatch, InvalidValue, Lost, PipekitError, Refused
from connections.sdk.schema import Column, TableName
from runs.engine import events, sync
from runs.engine.destination import find_published
from runs.engine.plan import Hook, Limits, Plan, RunOn, Strategy
from runs.engine.publish import publish
from runs.engine.publish.checks import Staging
from tests.benches.bench import Bench, Result, Rows
from tests.processes.commands import wait_until

pytestmark = pytest.mark.usefixtures("transfer_in_process")

QUERY = "SELECT k, v FROM s"
COLUMNS = (Column(dest_name="k", dest_type="integer"), Column(dest_name="v", dest_type="text"))


@pytest.fixture
def numbers(pg_bench: Bench) -> Bench:
    pg_bench.at_source(
        "CREATE TABLE s (k int PRIMARY KEY, v text)", "INSERT INTO s SELECT n, 'v' || n FROM generate_series(1, 100) n"
    )
    return pg_bench


def stored_rows(bench: Bench) -> Rows:
    return bench.rows("SELECT ctid::text, xmin::text, * FROM sync.t ORDER BY ctid")


def plan_for(bench: Bench, strategy: Strategy, **changes: object) -> Plan:
    key = ("k",) if strategy in (Strategy.INCREMENTAL, Strategy.UPSERT) else ()
    return bench.plan(QUERY, strategy=strategy, merge_key=key, **changes)


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
    plan = numbers.plan(QUERY, delete_instead_of_truncate=True)
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
        numbers.run(replace(plan, delete_instead_of_truncate=False))
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


@pytest.mark.parametrize("strategy", list(Strategy))
def test_publishing_the_same_run_again_changes_nothing(numbers: Bench, strategy: Strategy) -> None:
    plan = plan_for(numbers, strategy, run="the-run")
    first = list(sync.run(plan))
    before = stored_rows(numbers)
    second = list(publish.publish(plan, Staging(columns=COLUMNS, rows=100)))
    assert [event for event in first if isinstance(event, events.Published)] == [
        replace(event, recovered=False) for event in second if isinstance(event, events.Published)
    ]
    assert stored_rows(numbers) == before


def test_a_run_that_was_overtaken_cannot_publish(numbers: Bench) -> None:
    numbers.run(numbers.plan(QUERY))
    before = stored_rows(numbers)
    plan = numbers.plan(QUERY, run="the-overtaken-run")
    with pytest.raises(Lost, match="took over"):
        list(publish.publish(plan, Staging(columns=COLUMNS, rows=100)))
    assert stored_rows(numbers) == before


def test_a_run_that_was_overtaken_cannot_write_to_staging(numbers: Bench) -> None:
    with pytest.raises(Lost, match="took over"):
        for event in sync.run(numbers.plan(QUERY)):
            if isinstance(event, events.StepFinished) and event.step == "stage":
                numbers.at_destination("UPDATE pipekit_staging.pipekit_claims SET run = 'the-later-run'")
    assert numbers.rows("SELECT * FROM pipekit_staging.m") == []


@pytest.mark.parametrize("strategy", list(Strategy))
def test_a_staging_table_that_lost_rows_is_not_published(numbers: Bench, strategy: Strategy) -> None:
    plan = plan_for(numbers, strategy, run="the-run")
    list(sync.run(plan))
    # as after a crash of the server, which truncates unlogged tables; without the commit record, this is a new run
    numbers.at_destination("DELETE FROM pipekit_staging.m WHERE k > 50", "DELETE FROM pipekit_staging.pipekit_commits")
    before = stored_rows(numbers)
    with pytest.raises(CountMismatch, match="holds 50 rows, 100 were written"):
        list(publish.publish(plan, Staging(columns=COLUMNS, rows=100)))
    assert stored_rows(numbers) == before


def test_a_run_finds_its_commit_record_in_the_destination(numbers: Bench) -> None:
    plan = numbers.plan(QUERY, run="the-run")
    assert find_published(plan) is None
    list(sync.run(plan))
    published = find_published(plan)
    assert published is not None
    assert (published.inserted, published.recovered) == (100, True)


def test_staging_is_kept_for_debugging_and_emptied_by_the_next_run(numbers: Bench) -> None:
    numbers.run(numbers.plan(QUERY))
    assert numbers.rows("SELECT count(*) FROM pipekit_staging.m") == [(100,)]
    assert numbers.rows("SELECT relpersistence::text FROM pg_class WHERE oid = 'pipekit_staging.m'::regclass") == [
        ("u",)
    ]
    numbers.at_source("DELETE FROM s WHERE k > 60")
    numbers.run(numbers.plan(QUERY))
    assert numbers.rows("SELECT count(*) FROM pipekit_staging.m") == [(60,)]


def test_staging_is_recreated_when_the_columns_change(numbers: Bench) -> None:
    numbers.run(numbers.plan(QUERY))
    numbers.at_destination("DROP TABLE sync.t")
    numbers.run(numbers.plan("SELECT k, v, k * 2 AS twice FROM s"))
    assert numbers.rows("SELECT sum(twice) FROM pipekit_staging.m") == [(10100,)]


def test_key_sync_deletes_rows_that_the_source_no_longer_has(numbers: Bench) -> None:
    plan = plan_for(numbers, Strategy.INCREMENTAL, watermark="k", key_sync=True)
    numbers.run(plan)
    numbers.at_source("DELETE FROM s WHERE k IN (3, 5)", "INSERT INTO s VALUES (200, 'new')")
    result = numbers.run(plan)
    assert result.last(events.Reconciled).deleted == 2
    assert numbers.rows("SELECT count(*), count(*) FILTER (WHERE k IN (3, 5)) FROM sync.t") == [(99, 0)]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("DELETE FROM s", "no keys at all"),
        ("DELETE FROM s WHERE k <= 20", "would delete 20 of the 100 rows"),
    ],
)
def test_key_sync_refuses_to_delete_too_much(numbers: Bench, damage: str, message: str) -> None:
    plan = plan_for(numbers, Strategy.INCREMENTAL, watermark="k", key_sync=True)
    numbers.run(plan)
    before = stored_rows(numbers)
    numbers.at_source(damage)
    with pytest.raises(Refused, match=message):
        numbers.run(plan)
    assert stored_rows(numbers) == before


def test_key_sync_with_null_keys_deletes_nothing(numbers: Bench) -> None:
    plan = plan_for(
        numbers, Strategy.INCREMENTAL, watermark="k", key_sync=True, key_sync_query="SELECT NULLIF(k, 1) AS k FROM s"
    )
    with pytest.raises(PipekitError, match="1 keys of the source are NULL"):
        numbers.run(plan)
    assert numbers.rows("SELECT count(*) FROM sync.t") == [(100,)]


def test_a_failing_key_query_deletes_nothing_and_keeps_the_loaded_rows(numbers: Bench) -> None:
    plan = plan_for(numbers, Strategy.INCREMENTAL, watermark="k", key_sync=True, key_sync_query="SELECT k FROM gone")
    with pytest.raises(PipekitError, match="gone"):
        numbers.run(plan)
    assert numbers.rows("SELECT count(*) FROM sync.t") == [(100,)]


def test_the_limit_of_key_sync_is_configurable(numbers: Bench) -> None:
    plan = plan_for(numbers, Strategy.INCREMENTAL, watermark="k", key_sync=True, limits=Limits(max_delete_share=0.5))
    numbers.run(plan)
    numbers.at_source("DELETE FROM s WHERE k <= 20")
    assert numbers.run(plan).last(events.Reconciled).deleted == 20


def test_hooks_are_executed_in_order_at_their_events(numbers: Bench) -> None:
    numbers.at_destination("CREATE TABLE log (n serial, what text)")

    def hook(run_on: RunOn) -> Hook:
        return Hook(
            sql=f"INSERT INTO log (what) VALUES ('{run_on}, 100%')", run_on=run_on, connection=numbers.destination
        )

    hooks = tuple(hook(run_on) for run_on in RunOn)
    numbers.run(numbers.plan(QUERY, hooks=hooks))
    assert numbers.rows("SELECT what FROM log ORDER BY n") == [("before, 100%",), ("success, 100%",), ("always, 100%",)]
    numbers.at_destination("TRUNCATE log")
    with pytest.raises(PipekitError):
        numbers.run(numbers.plan("SELECT k, v FROM gone", hooks=hooks))
    assert numbers.rows("SELECT what FROM log ORDER BY n") == [("before, 100%",), ("failure, 100%",), ("always, 100%",)]


def test_a_failing_hook_fails_the_run_or_causes_a_warning_as_configured(numbers: Bench) -> None:
    hook = Hook(sql="SELECT 1/0", run_on=RunOn.SUCCESS, connection=numbers.destination)
    with pytest.raises(PipekitError, match=r"Hook 1 \(success\) failed; the rows are published: .*division by zero"):
        numbers.run(numbers.plan(QUERY, hooks=(hook,)))
    # the rows are published nevertheless
    assert numbers.rows("SELECT count(*) FROM sync.t") == [(100,)]
    result = numbers.run(numbers.plan(QUERY, hooks=(replace(hook, must_succeed=False),)))
    assert "division by zero" in result.warnings[0]


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


def test_the_control_tables_are_created_once_by_concurrent_runs(numbers: Bench) -> None:
    modules = [f"m{number}" for number in range(4)]
    plans = [numbers.plan(QUERY, module=name, dest_table=TableName("sync", name)) for name in modules]
    # each run starts with an empty database
    with ThreadPoolExecutor(len(plans)) as pool:
        results = list(pool.map(numbers.run, plans))
    assert [result.counts for result in results] == [(100, 0, 0)] * 4
    assert numbers.rows(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = 'pipekit_staging' AND starts_with(table_name, 'pipekit_') ORDER BY 1"
    ) == [("pipekit_claims",), ("pipekit_commits",)]
    assert numbers.rows("SELECT module FROM pipekit_staging.pipekit_claims ORDER BY 1") == [(name,) for name in modules]
    assert numbers.rows("SELECT module FROM pipekit_staging.pipekit_commits ORDER BY 1") == [
        (name,) for name in modules
    ]


def test_two_first_runs_that_create_the_same_schema_both_publish(numbers: Bench) -> None:
    results: list[Result] = []
    with psycopg.connect(numbers.destination.url) as other:
        other.execute("CREATE SCHEMA sync")
        running = threading.Thread(target=lambda: results.append(numbers.run(numbers.plan(QUERY))))
        running.start()
        # the run does not see the schema, and cannot create it before this transaction ends
        wait_until(lambda: is_blocking(other))
        other.commit()
    running.join(120)
    assert [result.counts for result in results] == [(100, 0, 0)]


def is_blocking(other: psycopg.Connection) -> bool:
    pid = other.info.backend_pid
    rows = other.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND %s = ANY(pg_blocking_pids(pid))", (pid,))
    return bool(rows.fetchall())


def test_a_user_with_privileges_in_two_schemas_only_can_run_a_sync(numbers: Bench, database_url: str) -> None:
    numbers.at_destination(
        "CREATE ROLE narrow LOGIN",
        "CREATE SCHEMA sync",
        "CREATE SCHEMA pipekit_staging",
        "GRANT ALL ON SCHEMA sync, pipekit_staging TO narrow",
    )
    try:
        narrow = replace(numbers.destination, username="narrow")
        result = numbers.run(numbers.plan(QUERY, destination=narrow))
        assert result.counts == (100, 0, 0)
        assert numbers.run(numbers.plan(QUERY, destination=narrow)).counts == (100, 0, 100)
    finally:
        numbers.at_destination("DROP OWNED BY narrow", "DROP ROLE narrow")
