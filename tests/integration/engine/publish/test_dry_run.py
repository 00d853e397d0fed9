"""A dry run fails with the error of the run, and writes nothing; only an unreachable source is not an error."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from connections.connectors.sqlite import busy_wait
from connections.sdk.errors import (
    AuthenticationFailed,
    ColumnMissing,
    DatabaseMissing,
    PipekitError,
    Protected,
    TableMissing,
)
from connections.sdk.files.protection import METADATA_TABLES
from connections.sdk.files.session import FileMissing
from connections.sdk.parameters import ConnectionParameters
from runs.engine import events
from runs.engine.plan import FullPublish, NamedWatermark, Plan, Strategy
from tests.harness.bench import Bench

pytestmark = pytest.mark.usefixtures("transfer_in_process")

Between = Callable[[str, str], Bench]
PAIRS = [
    ("sqlite", "postgresql"),
    *(pytest.param(pair, marks=pytest.mark.matrix) for pair in (("postgresql", "duckdb"), ("duckdb", "sqlite"))),
]


@pytest.fixture(params=PAIRS, ids=str)
def bench(request: pytest.FixtureRequest, between: Between) -> Bench:
    bench = between(*request.param)
    bench.at_source("CREATE TABLE s (k integer, v varchar(9))", "INSERT INTO s VALUES (1, 'a')")
    if bench.destination.kind != "sqlite":
        bench.at_destination("CREATE SCHEMA sync")
    bench.at_destination(f"CREATE TABLE {target(bench)} (k integer, v varchar(9))")
    return bench


def target(bench: Bench) -> str:
    return '"sync.t"' if bench.destination.kind == "sqlite" else "sync.t"


def both_errors(bench: Bench, plan: Plan) -> list[PipekitError]:
    """Return the errors of the dry run and of the run."""
    errors = []
    for dry_run in (True, False):
        with pytest.raises(PipekitError) as caught:
            bench.run(replace(plan, dry_run=dry_run))
        errors.append(caught.value)
        assert bench.rows(f"SELECT * FROM {target(bench)}") == []
    return errors


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("strategy", Strategy)
def test_a_column_that_the_destination_lacks_fails_the_dry_run_and_the_run_alike(
    bench: Bench, strategy: Strategy
) -> None:
    plan = bench.plan("SELECT k AS k, v AS v, k + 1 AS extra FROM s", strategy=strategy, merge_key=("k",))
    dry, real = both_errors(bench, plan)
    assert type(dry) is type(real) is ColumnMissing
    assert (dry.message, dry.hint) == (real.message, real.hint)
    assert "has no column “extra”" in dry.message and "ADD COLUMN" in dry.hint


@pytest.mark.parametrize(
    ("query", "kind"),
    [("SELECT k AS k FROM gone", TableMissing), ("SELECT k AS k, gone AS v FROM s", ColumnMissing)],
)
def test_a_table_or_column_that_the_source_lacks_fails_the_dry_run_and_the_run_alike(
    bench: Bench, query: str, kind: type[PipekitError]
) -> None:
    dry, real = both_errors(bench, bench.plan(query))
    assert type(dry) is type(real) is kind
    assert dry.message == real.message and "gone" in dry.message


def test_a_key_that_the_query_does_not_return_fails_the_dry_run_and_the_run_alike(bench: Bench) -> None:
    dry, real = both_errors(bench, bench.plan("SELECT v AS v FROM s", strategy=Strategy.UPSERT, merge_key=("k",)))
    assert type(dry) is type(real) is ColumnMissing
    assert dry.message == real.message == "The query of m returns no column “k”."


def test_the_queries_of_a_dry_run_are_those_of_the_run(bench: Bench) -> None:
    bench.at_destination(f"INSERT INTO {target(bench)} VALUES (1, 'a')")
    bench.at_source("INSERT INTO s VALUES (2, 'b')")
    plan = bench.plan("SELECT * FROM s", strategy=Strategy.INCREMENTAL, merge_key=("k",), watermark="k")
    dry = bench.run(replace(plan, dry_run=True))
    assert dry.warnings == []
    assert bench.rows(f"SELECT k FROM {target(bench)}") == [(1,)]
    assert dry.source_sql == bench.run(plan).source_sql
    assert "INSERT INTO" in dry.last(events.MergeSqlBuilt).sql


def test_an_unreachable_source_causes_a_warning(bench: Bench) -> None:
    source = replace(bench.source, kind="postgresql", url="postgresql://127.0.0.1:1/gone", options={})
    result = bench.run(replace(bench.plan("SELECT k AS k, v AS v FROM s"), source=source, dry_run=True))
    (warning,) = result.warnings
    assert warning.startswith("The source could not be reached, so its tables and columns were not checked: ")
    assert "RENAME TO" in result.last(events.MergeSqlBuilt).sql


def test_a_source_that_another_process_has_locked_causes_a_warning(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy_wait, "WAITS", 0)
    path = tmp_path / "locked.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE s (k integer, v text)")
        other.execute("BEGIN EXCLUSIVE")
        source = replace(bench.source, kind="sqlite", url=f"jdbc:sqlite:{path}", options={})
        result = bench.run(replace(bench.plan("SELECT k AS k, v AS v FROM s"), source=source, dry_run=True))
    (warning,) = result.warnings
    assert "locked.db cannot be opened" in warning


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_missing_source_file_fails_the_dry_run_and_the_run_alike(bench: Bench, tmp_path: Path, kind: str) -> None:
    missing = tmp_path / "missing.db"
    source = replace(bench.source, kind=kind, url=f"jdbc:{kind}:{missing}", options={})
    dry, real = both_errors(bench, replace(bench.plan("SELECT k AS k, v AS v FROM s"), source=source))
    assert type(dry) is type(real) is FileMissing
    assert (dry.message, dry.hint) == (real.message, real.hint)
    assert not missing.exists()


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_destination_file_that_a_run_would_create_is_not_created_by_the_dry_run(
    bench: Bench, tmp_path: Path, kind: str
) -> None:
    missing = tmp_path / f"new.{kind}"
    destination = ConnectionParameters(kind=kind, url=f"jdbc:{kind}:{missing}", options={"create": True})
    newest = NamedWatermark(name="newest", connection=destination, resolver_sql="SELECT 2")
    plan = replace(
        bench.plan("SELECT k AS k, v AS v FROM s WHERE k < {newest}"),
        destination=destination,
        named_watermarks=(newest,),
    )
    dry = bench.run(replace(plan, dry_run=True))
    assert dry.last(events.MergeSqlBuilt).sql.startswith("CREATE TABLE")
    assert not missing.exists()
    bench.run(plan)
    assert missing.exists()


def test_a_source_file_that_a_run_would_create_fails_the_dry_run_and_is_not_created(
    bench: Bench, tmp_path: Path
) -> None:
    # the run fails too, since the new file is empty; the dry run knows without creating it
    missing = tmp_path / "missing.db"
    source = replace(bench.source, kind="sqlite", url=f"jdbc:sqlite:{missing}", options={"create": True})
    plan = replace(bench.plan("SELECT k AS k, v AS v FROM s"), source=source)
    with pytest.raises(DatabaseMissing, match=f"There is no file {missing}") as caught:
        bench.run(replace(plan, dry_run=True))
    assert "a run would create an empty file there" in caught.value.hint
    assert not missing.exists()
    with pytest.raises(TableMissing):
        bench.run(plan)


def test_a_connection_error_of_the_run_fails_the_dry_run_too(
    bench: Bench, warehouse: ConnectionParameters, tmp_path: Path
) -> None:
    metadata = tmp_path / "metadata.db"
    with closing(sqlite3.connect(metadata)) as database:
        for table in METADATA_TABLES:
            database.execute(f"CREATE TABLE {table} (a)")
    elsewhere = urlunsplit(urlsplit(warehouse.url)._replace(path="/gone"))
    sources = {
        DatabaseMissing: replace(warehouse, url=elsewhere),
        AuthenticationFailed: replace(warehouse, username="nobody_of_this_name"),
        Protected: replace(warehouse, kind="sqlite", url=f"jdbc:sqlite:{metadata}", options={}),
    }
    for kind, source in sources.items():
        dry, real = both_errors(bench, replace(bench.plan("SELECT k AS k, v AS v FROM s"), source=source))
        assert type(dry) is type(real) is kind
        assert (dry.message, dry.hint) == (real.message, real.hint)


def test_a_column_that_the_destination_lacks_fails_the_dry_run_with_an_unreachable_source(bench: Bench) -> None:
    unreachable = replace(bench.source, kind="postgresql", url="postgresql://127.0.0.1:1/gone", options={})
    plan = replace(bench.plan("SELECT k AS k, v AS extra FROM s"), source=unreachable, dry_run=True)
    with pytest.raises(ColumnMissing, match="has no column “extra”"):
        bench.run(plan)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("strategy", Strategy)
def test_without_a_table_the_dry_run_builds_the_statements_of_the_first_run(bench: Bench, strategy: Strategy) -> None:
    bench.at_destination(f"DROP TABLE {target(bench)}")
    plan = bench.plan("SELECT k AS k, v AS v FROM s", strategy=strategy, merge_key=("k",))
    dry = bench.run(replace(plan, dry_run=True)).last(events.MergeSqlBuilt).sql
    assert "CREATE TABLE" in dry
    assert dry == bench.run(plan).last(events.MergeSqlBuilt).sql


def test_without_a_table_and_a_source_the_dry_run_reports_that_the_first_run_creates_the_table(bench: Bench) -> None:
    bench.at_destination(f"DROP TABLE {target(bench)}")
    unreachable = replace(bench.source, kind="postgresql", url="postgresql://127.0.0.1:1/gone", options={})
    plan = replace(bench.plan("SELECT k AS k, v AS v FROM s"), source=unreachable, dry_run=True)
    sql = bench.run(plan).last(events.MergeSqlBuilt).sql
    assert sql.startswith("-- sync.t does not exist; the first run creates it")
    assert "INSERT INTO" in sql


@pytest.mark.parametrize("kind", ["postgresql", "duckdb"])
def test_the_schema_that_a_run_creates_is_shown_by_the_dry_run_and_recorded_by_the_run(
    between: Between, kind: str
) -> None:
    bench = between("sqlite", kind)
    bench.at_source("CREATE TABLE s (k integer, v varchar(9))", "INSERT INTO s VALUES (1, 'a')")
    plan = bench.plan("SELECT k AS k, v AS v FROM s")
    second_plan = replace(plan, full_publish=FullPublish.TRUNCATE)
    dry, first, second = (merge_sql(bench, each) for each in (replace(plan, dry_run=True), plan, second_plan))
    assert dry == first
    assert dry[0].startswith("CREATE SCHEMA IF NOT EXISTS ") and "CREATE TABLE" in dry[1]
    assert not [sql for sql in second if "CREATE" in sql]


def merge_sql(bench: Bench, plan: Plan) -> list[str]:
    return [event.sql for event in bench.run(plan).events if isinstance(event, events.MergeSqlBuilt)]
