"""Tests of repairs: they change and delete only what the module's own runs would change or delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from connections.models import Connection
from connections.sdk.parameters import ConnectionParameters
from modules.models import Module
from runs.models import Run
from tests.acceptance.runs.test_verifymodule import verifymodule
from tests.harness.bench import Bench
from tests.processes.commands import CommandResult

pytestmark = pytest.mark.usefixtures("transfer_in_process")

QUERY = "SELECT id AS id, name AS name FROM s"
Save = Callable[..., Module]


def also(*values: str) -> list[Any]:
    """Return parameters that only the long test run uses."""
    return [pytest.param(value, marks=pytest.mark.matrix) for value in values]


@pytest.fixture(params=["postgresql", *also("sqlite", "duckdb")])
def target(request: pytest.FixtureRequest, warehouse_of: Callable[[str], ConnectionParameters], erp: Any) -> Bench:
    """Return a bench with SQLite as the source and each kind of destination."""
    return Bench(erp, warehouse_of(request.param))


def table(bench: Bench, columns: str = "id integer, name text, note text") -> str:
    """Create the destination table, without a unique key; return its name in SQL."""
    if bench.destination.kind == "sqlite":
        bench.at_destination(f'CREATE TABLE "sync.t" ({columns})')
        return '"sync.t"'
    bench.at_destination("CREATE SCHEMA sync", f"CREATE TABLE sync.t ({columns})")
    return "sync.t"


@pytest.fixture
def saved(save_module: Save, save_connection: Callable[..., Connection]) -> Callable[..., Module]:
    """Return a function that saves a bench's module `t`, merged by `id`."""

    def save(bench: Bench, strategy: str, **fields: Any) -> Module:
        supports_deletes = fields.pop("supports_deletes", True)
        destination = save_connection(bench.destination, supports_deletes=supports_deletes)
        fields = {"merge_strategy": strategy, "merge_key": "id", **fields}
        return save_module("t", QUERY, destination=destination, **fields)

    return save


def source(bench: Bench, values: str) -> None:
    """Create the source table with rows of these values."""
    bench.at_source("CREATE TABLE s (id INTEGER, name TEXT)", f"INSERT INTO s VALUES {values}")


def repair(*arguments: str) -> CommandResult:
    """Verify and repair module `t`."""
    return verifymodule("t", "--repair", "--json", *arguments)


def test_a_repair_of_an_append_module_only_inserts_missing_rows(target: Bench, saved: Save) -> None:
    source(target, "(1, 'b'), (2, 'new'), (3, 'changed')")
    name = table(target, "id integer, name text")
    target.at_destination(f"INSERT INTO {name} VALUES (1, 'a'), (1, 'b'), (3, 'was')")
    saved(target, "append")
    result = repair()
    assert target.rows(f"SELECT id, name FROM {name} ORDER BY 1, 2") == [(1, "a"), (1, "b"), (2, "new"), (3, "was")]
    assert (result.code, result.json["missing"], result.json["extra"], result.json["different"]) == (5, 1, 1, 1)
    assert [result.json["repaired"][name] for name in ("inserted", "updated", "deleted")] == [1, 0, 0]
    assert "append" in result.json["warnings"][-1]


@pytest.mark.matrix
@pytest.mark.parametrize("strategy", ["upsert", *also("incremental", "full")])
def test_a_repair_keeps_the_values_of_columns_that_the_query_does_not_fill(
    target: Bench, saved: Save, strategy: str
) -> None:
    source(target, "(1, 'one'), (2, 'two')")
    name = table(target)
    target.at_destination(f"INSERT INTO {name} VALUES (1, 'one', 'first'), (2, 'wrong', 'second')")
    saved(target, strategy)
    result = repair()
    assert target.rows(f"SELECT * FROM {name} ORDER BY 1") == [(1, "one", "first"), (2, "two", "second")]
    assert result.code == 0


@pytest.mark.matrix
def test_a_repair_of_many_rows_keeps_the_values_of_columns_that_the_query_does_not_fill(
    bench: Bench, saved: Save
) -> None:
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
    assert repair().code == 0
    assert bench.rows("SELECT count(*) FROM sync.t WHERE note = 'note ' || id AND name = 'name ' || id") == [(1500,)]


@pytest.mark.matrix
def test_a_repair_deletes_duplicates_of_rows(target: Bench, saved: Save) -> None:
    source(target, "(1, 'one'), (2, 'two'), (3, 'three')")
    name = table(target)
    target.at_destination(f"INSERT INTO {name} (id, name) VALUES (1, 'one'), (2, 'two'), (2, 'old'), (3, 'three')")
    saved(target, "upsert", key_sync=True)
    result = repair()
    assert target.rows(f"SELECT id, name FROM {name} ORDER BY 1") == [(1, "one"), (2, "two"), (3, "three")]
    assert (result.code, result.json["repaired"]["deleted"]) == (0, 1)


@pytest.mark.matrix
def test_a_repair_keeps_duplicates_that_have_values_in_other_columns(target: Bench, saved: Save) -> None:
    source(target, "(1, 'one'), (2, 'two')")
    name = table(target)
    target.at_destination(f"INSERT INTO {name} VALUES (1, 'one', NULL), (2, 'two', 'mine'), (2, 'old', NULL)")
    saved(target, "full")
    result = repair()
    rows = target.rows(f"SELECT id, name, note FROM {name} ORDER BY 1, 3 NULLS LAST")
    assert rows == [(1, "one", None), (2, "two", "mine"), (2, "two", None)]
    assert result.code == 5
    assert any("note" in warning for warning in Run.objects.get().warnings)


@pytest.mark.parametrize("strategy", ["upsert", *also("incremental", "full", "append")])
def test_a_destination_that_does_not_support_deletes_is_not_repaired(bench: Bench, saved: Save, strategy: str) -> None:
    source(bench, "(1, 'one')")
    name = table(bench, "id integer, name text")
    bench.at_destination(f"INSERT INTO {name} VALUES (1, 'wrong')")
    saved(bench, strategy, supports_deletes=False)
    result = repair()
    assert bench.rows() == [(1, "wrong")]
    assert (result.code, result.json["status"], result.json["different"]) == (5, "different", 1)
    assert result.json["error"]["code"] == "configuration_invalid"
    assert "deletes" in result.json["error"]["message"]
    assert not Run.objects.exists()


@pytest.mark.parametrize("strategy", ["upsert", *also("incremental")])
def test_without_key_sync_a_repair_keeps_rows_that_were_deleted_at_the_source(
    target: Bench, saved: Save, strategy: str
) -> None:
    source(target, "(1, 'one'), (2, 'two')")
    name = table(target, "id integer, name text")
    target.at_destination(f"INSERT INTO {name} VALUES (1, 'wrong'), (2, 'two'), (9, 'gone')")
    saved(target, strategy)
    result = repair("--force")
    assert target.rows(f"SELECT id, name FROM {name} ORDER BY 1") == [(1, "one"), (2, "two"), (9, "gone")]
    assert (result.code, result.json["repaired"]["deleted"], result.json["repaired"]["left"]) == (5, 0, 1)
    assert "key_sync" in result.json["warnings"][-1]
    assert "full-refresh" in result.json["warnings"][-1]


@pytest.mark.matrix
@pytest.mark.parametrize(("strategy", "key_sync"), [("full", False), ("upsert", True), ("incremental", True)])
def test_a_repair_deletes_rows_that_were_deleted_at_the_source_where_a_run_would(
    bench: Bench, saved: Save, strategy: str, key_sync: bool
) -> None:
    source(bench, "(1, 'one'), (2, 'two')")
    name = table(bench, "id integer, name text")
    bench.at_destination(f"INSERT INTO {name} VALUES (1, 'one'), (2, 'two'), (9, 'gone')")
    saved(bench, strategy, key_sync=key_sync)
    result = repair("--force")
    assert bench.rows() == [(1, "one"), (2, "two")]
    assert (result.code, result.json["repaired"]["deleted"]) == (0, 1)


@pytest.mark.matrix
def test_a_repair_keeps_rows_whose_key_is_in_the_key_sync_query(bench: Bench, saved: Save) -> None:
    source(bench, "(1, 'one'), (2, 'two')")
    bench.at_source("CREATE TABLE keys (id INTEGER)", "INSERT INTO keys VALUES (1), (2), (8)")
    name = table(bench, "id integer, name text")
    bench.at_destination(f"INSERT INTO {name} VALUES (1, 'one'), (2, 'two'), (8, 'closed'), (9, 'gone')")
    saved(bench, "upsert", key_sync=True, key_sync_query="SELECT id FROM keys")
    result = repair("--force")
    assert bench.rows() == [(1, "one"), (2, "two"), (8, "closed")]
    assert (result.code, result.json["repaired"]["deleted"], result.json["repaired"]["left"]) == (5, 1, 1)
    assert "key_sync_query" in result.json["warnings"][-1]


@pytest.mark.matrix
@pytest.mark.parametrize("extra", [0, 1])
def test_a_repair_with_since_deletes_no_rows(bench: Bench, saved: Save, extra: int) -> None:
    source(bench, "(10, 'ten'), (70, 'seventy')")
    name = table(bench, "id integer, name text")
    values = "(10, 'ten'), (-5, 'old')" + ", (80, 'new')" * extra
    bench.at_destination(f"INSERT INTO {name} VALUES {values}")
    saved(bench, "incremental", merge_key="name", watermark_column="id", key_sync=True)
    result = repair("--since", "50", "--force")
    assert (result.json["missing"], result.json["extra"], result.json["repaired"]["deleted"]) == (1, extra, 0)
    assert bench.rows() == [(-5, "old"), (10, "ten"), (70, "seventy"), (80, "new")][: 3 + extra]
    assert ("--since" in str(result.json["warnings"])) is bool(extra)
