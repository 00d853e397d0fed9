"""What a repair does to the destination: it changes and deletes no more than the module's own runs would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from connections.models import Connection
from connections.sdk.parameters import ConnectionParameters
from modules.models import Module
from runs.models import Run
from tests.acceptance.runs.test_verifymodule import verifymodule
from tests.benches.bench import Bench
from tests.processes.commands import Done

pytestmark = pytest.mark.usefixtures("transfer_in_process")

QUERY = "SELECT id AS id, name AS name FROM s"
Save = Callable[..., Module]


def also(*values: str) -> list[Any]:
    """Return parameters for the long run alone."""
    return [pytest.param(value, marks=pytest.mark.matrix) for value in values]


@pytest.fixture(params=["postgresql", *also("sqlite", "duckdb")])
def target(request: pytest.FixtureRequest, warehouse_of: Callable[[str], ConnectionParameters], erp: Any) -> Bench:
    """SQLite to a destination of each kind."""
    return Bench(erp, warehouse_of(request.param))


def table(bench: Bench, columns: str = "id integer, name text, note text") -> str:
    """Create the destination table, without a unique key; return its name as SQL says it."""
    if bench.destination.kind == "sqlite":
        bench.at_destination(f'CREATE TABLE "sync.t" ({columns})')
        return '"sync.t"'
    bench.at_destination("CREATE SCHEMA sync", f"CREATE TABLE sync.t ({columns})")
    return "sync.t"


@pytest.fixture
def saved(save_module: Save, save_connection: Callable[..., Connection]) -> Callable[..., Module]:
    """Save module `t` of a bench, merged by `id`."""

    def save(bench: Bench, strategy: str, **fields: Any) -> Module:
        takes_deletes = fields.pop("supports_deletes", True)
        destination = save_connection(bench.destination, supports_deletes=takes_deletes)
        fields = {"merge_strategy": strategy, "merge_key": "id", **fields}
        return save_module("t", QUERY, destination=destination, **fields)

    return save


def source(bench: Bench, values: str) -> None:
    bench.at_source("CREATE TABLE s (id INTEGER, name TEXT)", f"INSERT INTO s VALUES {values}")


def repaired(*arguments: str) -> Done:
    return verifymodule("t", "--repair", "--json", *arguments)


def test_an_append_module_keeps_its_history_and_gets_what_it_lacks(target: Bench, saved: Save) -> None:
    source(target, "(1, 'b'), (2, 'new'), (3, 'changed')")
    name = table(target, "id integer, name text")
    target.at_destination(f"INSERT INTO {name} VALUES (1, 'a'), (1, 'b'), (3, 'was')")
    saved(target, "append")
    done = repaired()
    assert target.rows(f"SELECT id, name FROM {name} ORDER BY 1, 2") == [(1, "a"), (1, "b"), (2, "new"), (3, "was")]
    assert (done.code, done.json["missing"], done.json["extra"], done.json["different"]) == (5, 1, 1, 1)
    assert [done.json["repaired"][name] for name in ("inserted", "updated", "deleted")] == [1, 0, 0]
    assert "append" in done.json["warnings"][-1]


@pytest.mark.parametrize("strategy", ["upsert", *also("incremental", "full")])
def test_columns_that_the_query_does_not_fill_keep_their_values(target: Bench, saved: Save, strategy: str) -> None:
    source(target, "(1, 'one'), (2, 'two')")
    name = table(target)
    target.at_destination(f"INSERT INTO {name} VALUES (1, 'one', 'first'), (2, 'wrong', 'second')")
    saved(target, strategy)
    done = repaired()
    assert target.rows(f"SELECT * FROM {name} ORDER BY 1") == [(1, "one", "first"), (2, "two", "second")]
    assert done.code == 0


@pytest.mark.matrix
def test_a_range_of_many_differences_keeps_them_too(bench: Bench, saved: Save) -> None:
    bench.at_source(
        "CREATE TABLE s (id INTEGER, name TEXT)",
        "INSERT INTO s WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)"
        " SELECT i, 'name ' || i FROM n",
    )
    bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t AS SELECT i AS id, 'wrong' AS name, 'note ' || i AS note FROM generate_series(1, 1500) i",
    )
    saved(bench, "upsert")
    assert repaired().code == 0
    assert bench.rows("SELECT count(*) FROM sync.t WHERE note = 'note ' || id AND name = 'name ' || id") == [(1500,)]


def test_rows_that_stand_twice_are_left_once(target: Bench, saved: Save) -> None:
    source(target, "(1, 'one'), (2, 'two'), (3, 'three')")
    name = table(target)
    target.at_destination(f"INSERT INTO {name} (id, name) VALUES (1, 'one'), (2, 'two'), (2, 'old'), (3, 'three')")
    saved(target, "upsert", key_sync=True)
    done = repaired()
    assert target.rows(f"SELECT id, name FROM {name} ORDER BY 1") == [(1, "one"), (2, "two"), (3, "three")]
    assert (done.code, done.json["repaired"]["deleted"]) == (0, 1)


@pytest.mark.matrix
def test_rows_that_stand_twice_stay_while_others_have_written_into_them(target: Bench, saved: Save) -> None:
    source(target, "(1, 'one'), (2, 'two')")
    name = table(target)
    target.at_destination(f"INSERT INTO {name} VALUES (1, 'one', NULL), (2, 'two', 'mine'), (2, 'old', NULL)")
    saved(target, "full")
    done = repaired()
    rows = target.rows(f"SELECT id, name, note FROM {name} ORDER BY 1, 3 NULLS LAST")
    assert rows == [(1, "one", None), (2, "two", "mine"), (2, "two", None)]
    assert done.code == 5
    assert any("note" in warning for warning in Run.objects.get().warnings)


@pytest.mark.parametrize("strategy", ["upsert", *also("incremental", "full", "append")])
def test_a_destination_that_takes_no_deletes_is_not_repaired(bench: Bench, saved: Save, strategy: str) -> None:
    source(bench, "(1, 'one')")
    name = table(bench, "id integer, name text")
    bench.at_destination(f"INSERT INTO {name} VALUES (1, 'wrong')")
    saved(bench, strategy, supports_deletes=False)
    done = repaired()
    assert bench.rows() == [(1, "wrong")]
    assert (done.code, done.json["status"], done.json["different"]) == (5, "different", 1)
    assert done.json["error"]["code"] == "configuration_invalid"
    assert "deletes" in done.json["error"]["message"]
    assert not Run.objects.exists()


@pytest.mark.parametrize("strategy", ["upsert", *also("incremental")])
def test_rows_that_the_source_lost_are_kept_without_key_sync(target: Bench, saved: Save, strategy: str) -> None:
    source(target, "(1, 'one'), (2, 'two')")
    name = table(target, "id integer, name text")
    target.at_destination(f"INSERT INTO {name} VALUES (1, 'wrong'), (2, 'two'), (9, 'gone')")
    saved(target, strategy)
    done = repaired("--force")
    assert target.rows(f"SELECT id, name FROM {name} ORDER BY 1") == [(1, "one"), (2, "two"), (9, "gone")]
    assert (done.code, done.json["repaired"]["deleted"], done.json["repaired"]["left"]) == (5, 0, 1)
    assert "key_sync" in done.json["warnings"][-1]
    assert "full-refresh" in done.json["warnings"][-1]


@pytest.mark.matrix
@pytest.mark.parametrize(("strategy", "key_sync"), [("full", False), ("upsert", True), ("incremental", True)])
def test_rows_that_the_source_lost_go_where_a_run_would_delete_them(
    bench: Bench, saved: Save, strategy: str, key_sync: bool
) -> None:
    source(bench, "(1, 'one'), (2, 'two')")
    name = table(bench, "id integer, name text")
    bench.at_destination(f"INSERT INTO {name} VALUES (1, 'one'), (2, 'two'), (9, 'gone')")
    saved(bench, strategy, key_sync=key_sync)
    done = repaired("--force")
    assert bench.rows() == [(1, "one"), (2, "two")]
    assert (done.code, done.json["repaired"]["deleted"]) == (0, 1)


@pytest.mark.matrix
def test_rows_that_a_key_query_still_names_are_kept(bench: Bench, saved: Save) -> None:
    source(bench, "(1, 'one'), (2, 'two')")
    bench.at_source("CREATE TABLE keys (id INTEGER)", "INSERT INTO keys VALUES (1), (2), (8)")
    name = table(bench, "id integer, name text")
    bench.at_destination(f"INSERT INTO {name} VALUES (1, 'one'), (2, 'two'), (8, 'closed'), (9, 'gone')")
    saved(bench, "upsert", key_sync=True, key_sync_query="SELECT id FROM keys")
    done = repaired("--force")
    assert bench.rows() == [(1, "one"), (2, "two"), (8, "closed")]
    assert (done.code, done.json["repaired"]["deleted"], done.json["repaired"]["left"]) == (5, 1, 1)
    assert "key_sync_query" in done.json["warnings"][-1]


@pytest.mark.matrix
@pytest.mark.parametrize("extra", [0, 1])
def test_rows_that_since_left_out_are_not_deleted(bench: Bench, saved: Save, extra: int) -> None:
    source(bench, "(10, 'ten'), (70, 'seventy')")
    name = table(bench, "id integer, name text")
    values = "(10, 'ten'), (-5, 'old')" + ", (80, 'new')" * extra
    bench.at_destination(f"INSERT INTO {name} VALUES {values}")
    saved(bench, "incremental", merge_key="name", watermark_column="id", key_sync=True)
    done = repaired("--since", "50", "--force")
    assert (done.json["missing"], done.json["extra"], done.json["repaired"]["deleted"]) == (1, extra, 0)
    assert bench.rows() == [(-5, "old"), (10, "ten"), (70, "seventy"), (80, "new")][: 3 + extra]
    assert ("--since" in str(done.json["warnings"])) is bool(extra)
