"""Columns of the destination that the query does not fill: they are named, and not emptied unless forced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from connections.sdk.errors import Refused
from connections.sdk.parameters import ConnectionParameters
from runs.engine import events
from runs.engine.plan import FullPublish, Plan, Strategy
from tests.harness.bench import Bench
from tests.harness.matrix import first_by_default

pytestmark = pytest.mark.usefixtures("transfer_in_process")

TABLE = "CREATE TABLE {} (id integer PRIMARY KEY, v text, note text)"


@pytest.fixture
def lake(erp: ConnectionParameters, tmp_path: Path) -> Bench:
    url = f"jdbc:sqlite:{tmp_path / 'lake.db'}"
    return Bench(erp, ConnectionParameters(kind="sqlite", url=url, options={"create": True}, name="lake"))


def _with_notes(bench: Bench, ddl: str = TABLE) -> Bench:
    """Create the source, and a destination in which a user has filled the column note."""
    bench.at_source("CREATE TABLE s (id integer, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'new')")
    table = _table(bench)
    if bench.destination.kind != "sqlite":
        bench.at_destination("CREATE SCHEMA sync")
    bench.at_destination(
        ddl.format(table), f"INSERT INTO {table} (id, v, note) VALUES (1, 'a', NULL), (2, 'b', 'mine')"
    )
    return bench


def _table(bench: Bench) -> str:
    return '"sync.t"' if bench.destination.kind == "sqlite" else "sync.t"


def _notes(bench: Bench) -> list[tuple[object, ...]]:
    return bench.rows(f"SELECT id, note FROM {_table(bench)} ORDER BY id")


def _plan(bench: Bench, strategy: Strategy = Strategy.FULL) -> Plan:
    key = ("id",) if strategy in (Strategy.INCREMENTAL, Strategy.UPSERT) else ()
    return bench.plan("SELECT id, v FROM s", strategy=strategy, merge_key=key)


@pytest.mark.parametrize("by_delete", first_by_default([False, True]))
def test_a_full_refresh_that_would_empty_a_column_is_refused(bench: Bench, by_delete: bool) -> None:
    plan = replace(_plan(_with_notes(bench)), full_publish=FullPublish.DELETE if by_delete else FullPublish.AUTO)
    with pytest.raises(Refused, match="does not fill: note") as caught:
        bench.run(plan)
    assert "upsert" in caught.value.hint
    assert _notes(bench) == [(1, None), (2, "mine")]
    result = bench.run(replace(plan, force=True))
    assert "forced" in result.warnings[0]
    assert _notes(bench) == [(1, None), (2, None)]
    # the column is empty now
    assert bench.run(plan).counts == (2, 0, 2)


MANY = "CREATE TABLE {} (id integer PRIMARY KEY, v text, a text, b integer DEFAULT 7, c text, d text)"


def _scans(bench: Bench) -> int:
    """Return how many sequential scans the server counts for the destination."""
    # what the session of the test has counted is not visible before
    bench.at_destination("SELECT pg_stat_force_next_flush()")
    return int(bench.rows("SELECT seq_scan FROM pg_stat_user_tables WHERE relid = 'sync.t'::regclass")[0][0])


def _scans_per_run(bench: Bench, ddl: str) -> int:
    bench.at_destination(
        "DROP TABLE IF EXISTS sync.t", ddl.format("sync.t"), "INSERT INTO sync.t (id, v) VALUES (1, 'a')"
    )
    before = _scans(bench)
    assert bench.run(_plan(bench)).counts == (2, 0, 1)
    return _scans(bench) - before


def test_many_unfilled_columns_cause_no_further_scans(bench: Bench) -> None:
    bench.at_source("CREATE TABLE s (id integer, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'new')")
    bench.at_destination("CREATE SCHEMA sync")
    assert _scans_per_run(bench, MANY) == _scans_per_run(bench, "CREATE TABLE {} (id integer PRIMARY KEY, v text)")


@pytest.mark.parametrize("kind", first_by_default(["postgresql", "sqlite", "duckdb"]))
def test_only_unfilled_columns_with_values_are_named(bench_to: Callable[[str], Bench], kind: str) -> None:
    bench = bench_to(kind)
    bench.at_source("CREATE TABLE s (id integer, v text)", "INSERT INTO s VALUES (1, 'a')")
    table = _table(bench)
    if kind != "sqlite":
        bench.at_destination("CREATE SCHEMA sync")
    bench.at_destination(
        MANY.format(table),
        f"INSERT INTO {table} (id, b, c) VALUES (1, 7, NULL)",
        f"INSERT INTO {table} (id, b, d) VALUES (2, 8, '')",
    )
    with pytest.raises(Refused, match="does not fill: b, d[.]"):
        bench.run(_plan(bench))
    forced = bench.run(replace(_plan(bench), force=True))
    assert "does not fill: b, d;" in forced.warnings[-1]
    assert bench.rows(f"SELECT * FROM {table}") == [(1, "a", None, 7, None, None)]


@pytest.mark.parametrize("filled_after", [2000, 1])
@pytest.mark.matrix
def test_a_column_filled_by_a_trigger_causes_at_most_two_more_scans(bench: Bench, filled_after: int) -> None:
    rows = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT i, 'x' FROM n"
    bench.at_source("CREATE TABLE s (id integer, v text)", f"INSERT INTO s {rows}")
    bench.at_destination(
        "CREATE SCHEMA sync",
        MANY.format("sync.t"),
        "INSERT INTO sync.t (id, a, c, d) SELECT n, 'a', 'c', 'd' FROM generate_series(1, 2000) n",
        "CREATE FUNCTION sync.fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF new.id >= {filled_after} THEN new.a := 'a'; new.c := 'c'; new.d := 'd'; END IF; RETURN new; END $$",
        "CREATE TRIGGER fill BEFORE INSERT ON sync.t FOR EACH ROW EXECUTE FUNCTION sync.fill()",
    )
    before = _scans(bench)
    assert bench.run(_plan(bench)).counts == (2000, 0, 2000)
    # one before, part of one and one after, the count of a table with triggers, and the one with which TRUNCATE
    # rebuilds the index
    assert _scans(bench) - before <= 5


@pytest.mark.matrix
def test_sqlite_columns_are_protected_too(lake: Bench) -> None:
    with pytest.raises(Refused, match="does not fill: note"):
        lake.run(_plan(_with_notes(lake)))
    assert _notes(lake) == [(1, None), (2, "mine")]


@pytest.mark.matrix
def test_duckdb_columns_are_protected_too(erp: ConnectionParameters, tmp_path: Path) -> None:
    url = f"jdbc:duckdb:{tmp_path / 'lake.db'}"
    bench = Bench(erp, ConnectionParameters(kind="duckdb", url=url, options={"create": True}, name="lake"))
    with pytest.raises(Refused, match="does not fill: note"):
        bench.run(_plan(_with_notes(bench)))
    assert _notes(bench) == [(1, None), (2, "mine")]


@pytest.mark.parametrize("strategy", first_by_default(sorted(Strategy, reverse=True)))
def test_every_strategy_names_a_column_that_the_source_has_lost(bench: Bench, strategy: Strategy) -> None:
    bench.at_source("CREATE TABLE s (id integer, v text, w text)", "INSERT INTO s VALUES (1, 'a', 'x')")
    plan = replace(_plan(bench, strategy), source_query="SELECT * FROM s")
    bench.run(plan)
    bench.at_source("ALTER TABLE s DROP COLUMN w", "UPDATE s SET id = 2")
    if strategy is Strategy.FULL:
        with pytest.raises(Refused, match="does not fill: w"):
            bench.run(plan)
        result = bench.failed
    else:
        result = bench.run(plan)
    assert "The destination has columns that the query no longer fills: w." in result.warnings
    assert bench.rows("SELECT w FROM sync.t WHERE id = 1") == [("x",)]


@pytest.mark.matrix
def test_incremental_warns_of_columns_that_it_resets_and_upsert_keeps_them(bench: Bench) -> None:
    _with_notes(bench)
    assert bench.run(_plan(bench, Strategy.UPSERT)).warnings == []
    assert _notes(bench) == [(1, None), (2, "mine")]
    for dry_run in (True, False):
        result = bench.run(replace(_plan(bench, Strategy.INCREMENTAL), dry_run=dry_run))
        assert any("note" in warning and "upsert" in warning for warning in result.warnings), dry_run
    assert _notes(bench) == [(1, None), (2, None)]


@pytest.mark.matrix
@pytest.mark.parametrize(
    "column",
    [
        "note timestamptz DEFAULT now()",
        "note bigserial",
        "note bigint GENERATED BY DEFAULT AS IDENTITY",
        "note int GENERATED ALWAYS AS (id * 2) STORED",
    ],
)
@pytest.mark.parametrize("strategy", [Strategy.FULL, Strategy.INCREMENTAL])
def test_a_column_that_the_table_generates_for_each_row_is_no_loss(
    bench: Bench, column: str, strategy: Strategy
) -> None:
    bench.at_source("CREATE TABLE s (id integer, v text)", "INSERT INTO s VALUES (1, 'a')")
    bench.at_destination("CREATE SCHEMA sync", f"CREATE TABLE sync.t (id int PRIMARY KEY, v text, {column})")
    for _ in range(2):
        assert bench.run(_plan(bench, strategy)).warnings == []
    assert bench.rows("SELECT count(note) FROM sync.t") == [(1,)]


@pytest.mark.matrix
def test_a_rowid_column_of_sqlite_is_no_loss(lake: Bench) -> None:
    lake.at_source("CREATE TABLE s (v text)", "INSERT INTO s VALUES ('a')")
    lake.at_destination('CREATE TABLE "sync.t" (n INTEGER PRIMARY KEY, v text)')
    for _ in range(2):
        lake.run(lake.plan("SELECT v FROM s"))
    assert lake.rows('SELECT n, v FROM "sync.t"') == [(1, "a")]


@pytest.mark.matrix
def test_a_column_with_a_constant_default_is_a_loss_if_it_has_other_values(bench: Bench) -> None:
    plan = _plan(
        _with_notes(bench, TABLE.replace("note text", "note text DEFAULT 'none'::text, seen boolean DEFAULT false"))
    )
    with pytest.raises(Refused, match="does not fill: note$|does not fill: note[.]"):
        bench.run(plan)
    bench.at_destination("UPDATE sync.t SET note = 'none'")
    assert bench.run(plan).counts == (2, 0, 2)


@pytest.mark.matrix
@pytest.mark.parametrize("fills", [True, False])
def test_a_full_refresh_is_refused_only_if_a_trigger_leaves_the_column_empty(bench: Bench, fills: bool) -> None:
    _with_notes(bench)
    bench.at_destination(
        "CREATE FUNCTION sync.fill() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {'new.note := upper(new.v);' if fills else ''} RETURN new; END $$",
        "CREATE TRIGGER fill BEFORE INSERT ON sync.t FOR EACH ROW EXECUTE FUNCTION sync.fill()",
    )
    if fills:
        assert bench.run(_plan(bench)).counts == (2, 0, 2)
        assert _notes(bench) == [(1, "A"), (2, "NEW")]
        return
    with pytest.raises(Refused, match="does not fill: note"):
        bench.run(_plan(bench))
    assert _notes(bench) == [(1, None), (2, "mine")]


@pytest.mark.matrix
def test_the_refusal_comes_before_the_table_is_emptied(bench: Bench) -> None:
    with pytest.raises(Refused):
        bench.run(_plan(_with_notes(bench)))
    assert not any(isinstance(event, events.MergeSqlBuilt) for event in bench.failed.events)
