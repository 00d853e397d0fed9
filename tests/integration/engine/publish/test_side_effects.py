"""Triggers, views and keys because of which the published rows are not those that were staged: the run fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from connections.sdk.errors import CountMismatch, Refused
from connections.sdk.schema import TableName
from runs.engine.plan import FullPublish, Limits, Plan, Strategy
from tests.harness.bench import Bench, fetch
from tests.harness.matrix import first_by_default

pytestmark = [pytest.mark.matrix, pytest.mark.usefixtures("transfer_in_process")]

BEFORE = [(1, "old"), (5, "e")]
METHODS: dict[str, dict[str, Any]] = {
    "incremental": {"strategy": Strategy.INCREMENTAL},
    "full": {"full_publish": FullPublish.DELETE},
    "upsert": {"strategy": Strategy.UPSERT},
    "truncate": {},
    "append": {"strategy": Strategy.APPEND},
    "append with a watermark": {"strategy": Strategy.APPEND, "watermark": "k", "overlap": "9"},
}
# name -> the event and the statement of a trigger, and the methods of publishing that it makes fail
EFFECTS = {
    "inserts deleted rows again": ("AFTER DELETE", "INSERT INTO {t} VALUES (old.k, old.v)", ["incremental", "full"]),
    "deletes inserted rows": (
        "AFTER INSERT",
        "DELETE FROM {t} WHERE k = new.k",
        ["full", "incremental", "upsert", "append", "append with a watermark"],
    ),
}
CASES = [(effect, method) for effect, (_, _, methods) in EFFECTS.items() for method in methods]


def _trigger(kind: str, effect: str) -> list[str]:
    event, body, _ = EFFECTS[effect]
    if kind == "sqlite":
        return [f"CREATE TRIGGER x {event} ON t BEGIN {body.format(t='t')}; END"]
    body = body.format(t="sync.t")
    return [
        f"CREATE FUNCTION sync.x() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {body}; RETURN NULL; END'",
        f"CREATE TRIGGER x {event} ON sync.t FOR EACH ROW EXECUTE FUNCTION sync.x()",
    ]


def _create(bench: Bench, *ddl: str) -> Bench:
    bench.at_source("CREATE TABLE s (k int, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'b')")
    postgresql = bench.destination.kind == "postgresql"
    table = "sync.t" if postgresql else "t"
    bench.at_destination(*(["CREATE SCHEMA sync"] if postgresql else []), f"CREATE TABLE {table} (k int, v text)")
    bench.at_destination(f"INSERT INTO {table} VALUES (1, 'old'), (5, 'e')", *ddl)
    return bench


def _plan(bench: Bench, method: str, **changes: object) -> Plan:
    table = TableName("sync" if bench.destination.kind == "postgresql" else "main", "t")
    return bench.plan("SELECT k, v FROM s", **{"dest_table": table, "merge_key": ("k",), **METHODS[method], **changes})


def _rows(bench: Bench) -> list[tuple[object, ...]]:
    table = "sync.t" if bench.destination.kind == "postgresql" else "t"
    return fetch(bench.destination, f"SELECT k, v FROM {table} ORDER BY 1, 2")


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
@pytest.mark.parametrize(("effect", "method"), first_by_default(CASES))
def test_a_trigger_that_undoes_the_publish_fails_the_run(
    bench_to: Callable[[str], Bench], kind: str, effect: str, method: str
) -> None:
    bench = _create(bench_to(kind), *_trigger(kind, effect))
    with pytest.raises(CountMismatch) as caught:
        bench.run(_plan(bench, method))
    assert "trigger" in caught.value.hint
    assert _rows(bench) == BEFORE


def test_a_trigger_that_fills_the_truncated_table_fails_the_run(bench: Bench) -> None:
    _create(
        bench,
        "CREATE FUNCTION sync.x() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO sync.t VALUES (9); RETURN NULL; END'",
        "CREATE TRIGGER x AFTER TRUNCATE ON sync.t FOR EACH STATEMENT EXECUTE FUNCTION sync.x()",
    )
    with pytest.raises(CountMismatch, match="has 3 rows after the full refresh, but 2 were inserted"):
        bench.run(_plan(bench, "truncate"))
    assert _rows(bench) == BEFORE


@pytest.mark.parametrize("kind", first_by_default(["sqlite", "postgresql"]))
def test_key_sync_fails_if_a_trigger_inserts_the_deleted_rows_again(
    bench_to: Callable[[str], Bench], kind: str
) -> None:
    bench = _create(bench_to(kind), *_trigger(kind, "inserts deleted rows again"))
    with pytest.raises(CountMismatch, match="Only 0 of 1 rows could be deleted"):
        bench.run(_plan(bench, "upsert", key_sync=True, limits=Limits(max_delete_share=1)))
    assert _rows(bench) == [(1, "a"), (2, "b"), (5, "e")]


def test_a_trigger_that_writes_to_another_table_causes_no_warning(bench: Bench) -> None:
    _create(
        bench,
        "CREATE TABLE sync.log (k int)",
        "CREATE FUNCTION sync.x() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO sync.log VALUES (coalesce(new.k, old.k)); RETURN NULL; END'",
        "CREATE TRIGGER x AFTER INSERT OR UPDATE OR DELETE ON sync.t FOR EACH ROW EXECUTE FUNCTION sync.x()",
    )
    for method in METHODS:
        assert bench.run(_plan(bench, method)).warnings == []
    assert _rows(bench) == [(1, "a"), (1, "a"), (2, "b"), (2, "b")]


def test_a_trigger_that_changes_the_key_fails_the_run(bench: Bench) -> None:
    _create(
        bench,
        "CREATE FUNCTION sync.x() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.k := new.k + 100; RETURN new; END'",
        "CREATE TRIGGER x BEFORE INSERT ON sync.t FOR EACH ROW EXECUTE FUNCTION sync.x()",
    )
    with pytest.raises(CountMismatch, match="1 of 2 rows did not arrive"):
        bench.run(_plan(bench, "upsert"))


def test_rows_added_by_a_trigger_cause_a_warning(bench_to: Callable[[str], Bench]) -> None:
    bench = _create(
        bench_to("sqlite"), "CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO t VALUES (new.k + 50, 'more'); END"
    )
    assert "t has 1 rows more than" in bench.run(_plan(bench, "upsert")).warnings[0]


@pytest.mark.parametrize("method", first_by_default(["upsert", "incremental", "full", "append"]))
def test_a_view_that_does_not_show_the_rows_fails_the_run(bench: Bench, method: str) -> None:
    _create(
        bench,
        "ALTER TABLE sync.t RENAME TO below",
        "CREATE VIEW sync.t AS SELECT k, v FROM sync.below WHERE v <> 'b'",
    )
    with pytest.raises(CountMismatch, match="1 of 2 rows did not arrive"):
        bench.run(_plan(bench, method))
    assert fetch(bench.destination, "SELECT k, v FROM sync.below ORDER BY 1") == BEFORE


@pytest.mark.parametrize("method", first_by_default(["full", "incremental", "upsert"]))
def test_rows_that_replace_one_another_in_sqlite_fail_the_run(bench_to: Callable[[str], Bench], method: str) -> None:
    bench = bench_to("sqlite")
    bench.at_source("CREATE TABLE s (k int, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'a')")
    bench.at_destination(
        "CREATE TABLE t (k int PRIMARY KEY, v text UNIQUE ON CONFLICT REPLACE)",
        "INSERT INTO t VALUES (1, 'old'), (5, 'e')",
    )
    with pytest.raises(CountMismatch, match="1 of 2 rows did not arrive"):
        bench.run(_plan(bench, method))
    assert _rows(bench) == BEFORE


def test_a_row_of_another_key_that_sqlite_replaces_causes_a_warning(bench_to: Callable[[str], Bench]) -> None:
    bench = bench_to("sqlite")
    bench.at_source("CREATE TABLE s (k int, v text)", "INSERT INTO s VALUES (1, 'a')")
    bench.at_destination(
        "CREATE TABLE t (k int PRIMARY KEY, v text UNIQUE ON CONFLICT REPLACE)", "INSERT INTO t VALUES (5, 'a')"
    )
    assert "1 rows fewer" in bench.run(_plan(bench, "upsert")).warnings[0]


def test_upsert_updates_the_rows_of_inheriting_tables(bench: Bench) -> None:
    bench.at_source("CREATE TABLE s (k int, v text)", "INSERT INTO s VALUES (1, 'a'), (2, 'b')")
    bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (k bigint PRIMARY KEY, v text)",
        "CREATE TABLE sync.child () INHERITS (sync.t)",
        "INSERT INTO sync.child VALUES (1, 'old')",
    )
    bench.run(_plan(bench, "upsert"))
    assert _rows(bench) == [(1, "a"), (2, "b")]


@pytest.fixture
def clerk(bench: Bench) -> Iterator[Bench]:
    """A user who cannot see the invoice of a customer because of a row security policy."""
    bench.at_source("CREATE TABLE s (k int, v text)", "INSERT INTO s VALUES (1, 'a')")
    bench.at_destination(
        "DROP ROLE IF EXISTS clerk",
        "CREATE ROLE clerk LOGIN",
        "CREATE SCHEMA sync",
        "CREATE SCHEMA pipekit_staging",
        "CREATE TABLE sync.t (k int PRIMARY KEY, v text)",
        "CREATE TABLE sync.invoice (no int, k int REFERENCES sync.t ON DELETE CASCADE)",
        "INSERT INTO sync.t VALUES (1, 'old')",
        "INSERT INTO sync.invoice VALUES (100, 1)",
        "ALTER TABLE sync.invoice ENABLE ROW LEVEL SECURITY",
        "GRANT ALL ON SCHEMA sync, pipekit_staging TO clerk",
        "GRANT ALL ON ALL TABLES IN SCHEMA sync TO clerk",
    )
    yield Bench(bench.source, replace(bench.destination, username="clerk"))
    with psycopg.connect(bench.destination.url, autocommit=True) as connection:
        connection.execute("DROP OWNED BY clerk")
        connection.execute("DROP ROLE clerk")


def test_rows_hidden_by_a_policy_are_not_deleted_by_a_cascade(bench: Bench, clerk: Bench) -> None:
    with pytest.raises(Refused, match="how many is not known"):
        clerk.run(_plan(clerk, "incremental"))
    assert fetch(bench.destination, "SELECT * FROM sync.invoice") == [(100, 1)]
