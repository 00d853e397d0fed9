"""A dry run fails as the run would, with the same error, and writes nothing; only the source may be out of reach."""

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
from connections.sdk.parameters import ConnectionParameters
from runs.engine import events
from runs.engine.plan import Plan, Strategy
from tests.benches.bench import Bench

pytestmark = pytest.mark.usefixtures("transfer_in_process")

Between = Callable[[str, str], Bench]
PAIRS = [
    ("sqlite", "postgresql"),
    *(pytest.param(pair, marks=pytest.mark.matrix) for pair in (("postgresql", "duckdb"), ("duckdb", "sqlite"))),
]


@pytest.fixture(params=PAIRS, ids=str)
def bench(request: pytest.FixtureRequest, between: Between) -> Bench:
    found = between(*request.param)
    found.at_source("CREATE TABLE s (k integer, v varchar(9))", "INSERT INTO s VALUES (1, 'a')")
    if found.destination.kind != "sqlite":
        found.at_destination("CREATE SCHEMA sync")
    found.at_destination(f"CREATE TABLE {target(found)} (k integer, v varchar(9))")
    return found


def target(bench: Bench) -> str:
    return '"sync.t"' if bench.destination.kind == "sqlite" else "sync.t"


def failing(bench: Bench, plan: Plan) -> list[PipekitError]:
    """Return what the dry run and then the run raise."""
    found = []
    for dry_run in (True, False):
        with pytest.raises(PipekitError) as raised:
            bench.run(replace(plan, dry_run=dry_run))
        found.append(raised.value)
        assert bench.rows(f"SELECT * FROM {target(bench)}") == []
    return found


@pytest.mark.parametrize("strategy", Strategy)
def test_a_column_that_the_destination_lacks_fails_the_dry_run_as_the_run(bench: Bench, strategy: Strategy) -> None:
    plan = bench.plan("SELECT k AS k, v AS v, k + 1 AS extra FROM s", strategy=strategy, merge_key=("k",))
    dry, real = failing(bench, plan)
    assert type(dry) is type(real) is ColumnMissing
    assert (dry.message, dry.hint) == (real.message, real.hint)
    assert "has no column “extra”" in dry.message and "ADD COLUMN" in dry.hint


@pytest.mark.parametrize(
    ("query", "kind"),
    [("SELECT k AS k FROM gone", TableMissing), ("SELECT k AS k, gone AS v FROM s", ColumnMissing)],
)
def test_what_the_source_lacks_fails_the_dry_run_as_the_run(bench: Bench, query: str, kind: type[PipekitError]) -> None:
    dry, real = failing(bench, bench.plan(query))
    assert type(dry) is type(real) is kind
    assert dry.message == real.message and "gone" in dry.message


def test_a_key_that_the_query_does_not_return_fails_the_dry_run(bench: Bench) -> None:
    dry, real = failing(bench, bench.plan("SELECT v AS v FROM s", strategy=Strategy.UPSERT, merge_key=("k",)))
    assert type(dry) is type(real) is ColumnMissing
    assert dry.message == real.message == "The query of m returns no column “k”."


def test_a_query_that_both_sides_take_is_built_as_the_run_builds_it(bench: Bench) -> None:
    bench.at_destination(f"INSERT INTO {target(bench)} VALUES (1, 'a')")
    bench.at_source("INSERT INTO s VALUES (2, 'b')")
    plan = bench.plan("SELECT * FROM s", strategy=Strategy.INCREMENTAL, merge_key=("k",), watermark="k")
    dry = bench.run(replace(plan, dry_run=True))
    assert dry.warnings == []
    assert bench.rows(f"SELECT k FROM {target(bench)}") == [(1,)]
    assert dry.source_sql == bench.run(plan).source_sql
    assert "INSERT INTO" in dry.last(events.MergeSqlBuilt).sql


def test_a_source_that_is_away_is_a_warning(bench: Bench) -> None:
    source = replace(bench.source, kind="postgresql", url="postgresql://127.0.0.1:1/gone", options={})
    result = bench.run(replace(bench.plan("SELECT k AS k, v AS v FROM s"), source=source, dry_run=True))
    (warning,) = result.warnings
    assert warning.startswith("The source could not be reached, so its tables and columns were not checked: ")
    assert "INSERT INTO" in result.last(events.MergeSqlBuilt).sql


def test_a_source_that_another_process_has_locked_is_a_warning(
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


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_source_file_that_is_missing_fails_the_dry_run_as_the_run(bench: Bench, tmp_path: Path, kind: str) -> None:
    missing = tmp_path / "missing.db"
    source = replace(bench.source, kind=kind, url=f"jdbc:{kind}:{missing}", options={})
    dry, real = failing(bench, replace(bench.plan("SELECT k AS k, v AS v FROM s"), source=source))
    assert type(dry) is type(real) is DatabaseMissing
    assert (dry.message, dry.hint) == (real.message, real.hint)
    assert not missing.exists()


def test_a_source_file_that_a_run_would_create_fails_the_dry_run_and_is_not_created(
    bench: Bench, tmp_path: Path
) -> None:
    # the run fails as well, for its file is empty: only the dry run can say so without making it
    missing = tmp_path / "missing.db"
    source = replace(bench.source, kind="sqlite", url=f"jdbc:sqlite:{missing}", options={"create": True})
    plan = replace(bench.plan("SELECT k AS k, v AS v FROM s"), source=source)
    with pytest.raises(DatabaseMissing, match=f"There is no file {missing}") as raised:
        bench.run(replace(plan, dry_run=True))
    assert "a run would create an empty file there" in raised.value.hint
    assert not missing.exists()
    with pytest.raises(TableMissing):
        bench.run(plan)


def test_a_connection_that_fails_the_run_fails_the_dry_run(
    bench: Bench, warehouse: ConnectionParameters, tmp_path: Path
) -> None:
    metadata = tmp_path / "metadata.db"
    with closing(sqlite3.connect(metadata)) as made:
        for table in METADATA_TABLES:
            made.execute(f"CREATE TABLE {table} (a)")
    elsewhere = urlunsplit(urlsplit(warehouse.url)._replace(path="/gone"))
    sources = {
        DatabaseMissing: replace(warehouse, url=elsewhere),
        AuthenticationFailed: replace(warehouse, username="nobody_of_this_name"),
        Protected: replace(warehouse, kind="sqlite", url=f"jdbc:sqlite:{metadata}", options={}),
    }
    for kind, source in sources.items():
        dry, real = failing(bench, replace(bench.plan("SELECT k AS k, v AS v FROM s"), source=source))
        assert type(dry) is type(real) is kind
        assert (dry.message, dry.hint) == (real.message, real.hint)


def test_a_column_that_the_destination_lacks_is_said_while_the_source_is_away(bench: Bench) -> None:
    away = replace(bench.source, kind="postgresql", url="postgresql://127.0.0.1:1/gone", options={})
    plan = replace(bench.plan("SELECT k AS k, v AS extra FROM s"), source=away, dry_run=True)
    with pytest.raises(ColumnMissing, match="has no column “extra”"):
        bench.run(plan)


@pytest.mark.parametrize("strategy", Strategy)
def test_a_dry_run_without_a_table_builds_what_the_first_run_then_executes(bench: Bench, strategy: Strategy) -> None:
    bench.at_destination(f"DROP TABLE {target(bench)}")
    plan = bench.plan("SELECT k AS k, v AS v FROM s", strategy=strategy, merge_key=("k",))
    dry = bench.run(replace(plan, dry_run=True)).last(events.MergeSqlBuilt).sql
    assert "CREATE TABLE" in dry
    assert dry == bench.run(plan).last(events.MergeSqlBuilt).sql


def test_a_dry_run_without_a_table_and_source_says_that_the_first_run_creates_it(bench: Bench) -> None:
    bench.at_destination(f"DROP TABLE {target(bench)}")
    away = replace(bench.source, kind="postgresql", url="postgresql://127.0.0.1:1/gone", options={})
    plan = replace(bench.plan("SELECT k AS k, v AS v FROM s"), source=away, dry_run=True)
    sql = bench.run(plan).last(events.MergeSqlBuilt).sql
    assert sql.startswith("-- sync.t does not exist; the first run creates it")
    assert "INSERT INTO" in sql
