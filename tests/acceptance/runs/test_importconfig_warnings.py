"""Tests of the warnings of `importconfig`, with and without --dry-run, about what the runs of a module will do."""

from __future__ import annotations

import socket
import sqlite3
import time
from pathlib import Path

import duckdb
import psycopg
import pytest
from django.core.management import call_command

from modules.models import Module

pytestmark = pytest.mark.django_db


def import_module(
    tmp_path: Path,
    url: str,
    *,
    kind: str = "sqlite",
    strategy: str = "incremental",
    query: str = "",
    dry_run: bool = False,
    more: str = "",
) -> None:
    """Import module `orders`, whose source is never opened, with ``more`` lines of its configuration."""
    file = tmp_path / "config.yaml"
    file.write_text(
        f"""
version: 1
connections:
  erp: {{driver: sqlite, jdbc_url: "jdbc:sqlite:{tmp_path}/erp.db"}}
  warehouse: {{driver: {kind}, jdbc_url: "{url}"{"" if kind == "postgresql" else ", options: {create: true}"}}}
modules:
  orders:
    source_connection: erp
    dest_connection: warehouse
    dest_table: sync.orders
    source_query: {query or "SELECT id AS id, v AS v FROM s"}
    merge_strategy: {strategy}
    merge_key: id
    {more}
"""
    )
    call_command("importconfig", str(file), dry_run=dry_run)


def warnings(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was written to stderr since the last call."""
    return capsys.readouterr().err


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    path = tmp_path / "warehouse.db"
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE "sync.orders" (id INTEGER PRIMARY KEY, v TEXT, note TEXT, seen INTEGER)')
    return f"jdbc:sqlite:{path}"


def test_the_import_warns_of_columns_that_an_incremental_module_resets(
    tmp_path: Path, sqlite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import_module(tmp_path, sqlite)
    assert "orders: Columns of sync.orders that the query does not fill are reset" in (text := warnings(capsys))
    assert "note, seen" in text and "upsert does not change them" in text
    # no warnings about a module that the file does not change
    import_module(tmp_path, sqlite)
    assert warnings(capsys) == ""
    import_module(tmp_path, sqlite, query="SELECT id AS id, v AS v, n AS note FROM s")
    assert "again: seen." in warnings(capsys)


def test_the_warning_does_not_name_columns_with_a_default(
    tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(database_url, autocommit=True) as server:
        server.execute("CREATE SCHEMA sync")
        server.execute("CREATE TABLE sync.orders (id int, v text, note text, at timestamp DEFAULT now())")
    import_module(tmp_path, database_url, kind="postgresql")
    assert "again: note." in warnings(capsys)


def test_the_import_warns_of_columns_of_a_duckdb_table_that_are_reset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with duckdb.connect(str(tmp_path / "w.duckdb")) as file:
        file.execute("CREATE SCHEMA sync; CREATE TABLE sync.orders (id int, v text, note text)")
    import_module(tmp_path, f"jdbc:duckdb:{tmp_path}/w.duckdb", kind="duckdb")
    assert "again: note." in warnings(capsys)


@pytest.mark.parametrize("strategy", ["upsert", "append"])
def test_there_is_no_warning_of_columns_that_other_strategies_do_not_reset(
    tmp_path: Path, sqlite: str, capsys: pytest.CaptureFixture[str], strategy: str
) -> None:
    import_module(tmp_path, sqlite, strategy=strategy)
    assert warnings(capsys) == ""


def test_an_import_does_not_create_a_destination_that_does_not_exist_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_module(tmp_path, f"jdbc:sqlite:{tmp_path}/new.db")
    assert warnings(capsys) == ""
    assert not (tmp_path / "new.db").exists()


def test_the_import_warns_within_seconds_of_a_destination_that_does_not_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as listener:
        # bound, but not listening
        listener.bind(("127.0.0.1", 0))
        started = time.monotonic()
        import_module(tmp_path, f"jdbc:postgresql://127.0.0.1:{listener.getsockname()[1]}/dw", kind="postgresql")
    # the connection is named once, after the module
    text = warnings(capsys)
    assert "Warning: orders: the columns of its destination were not checked. warehouse: No connection" in text
    assert text.count("warehouse") == 1
    assert time.monotonic() - started < 10


def test_the_import_warns_of_a_destination_that_does_not_answer_for_strategy_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"jdbc:postgresql://127.0.0.1:{listener.getsockname()[1]}/dw"
        import_module(tmp_path, url, kind="postgresql", strategy="full")
    assert "orders: the columns of its destination were not checked. warehouse: No" in warnings(capsys)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_dry_run_has_the_warnings_of_the_import_and_changes_nothing(
    tmp_path: Path, sqlite: str, capsys: pytest.CaptureFixture[str], dry_run: bool
) -> None:
    import_module(tmp_path, sqlite, dry_run=dry_run)
    assert "Warning: orders: Columns of sync.orders that the query does not fill are reset" in warnings(capsys)
    assert Module.objects.exists() is not dry_run
    # now the module exists and is changed by the file
    import_module(tmp_path, sqlite)
    warnings(capsys)
    import_module(tmp_path, sqlite, query="SELECT id AS id, v AS v, n AS note FROM s", dry_run=dry_run)
    assert "again: seen." in warnings(capsys)
    assert ("note" in Module.objects.get().source_query) is not dry_run


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("strategy", ["full", "incremental", "append", "upsert"])
def test_the_import_warns_of_a_column_that_the_destination_lacks(
    tmp_path: Path, sqlite: str, capsys: pytest.CaptureFixture[str], strategy: str, dry_run: bool
) -> None:
    query = "SELECT id AS id, v AS v, note AS note, seen AS sen FROM s"
    import_module(tmp_path, sqlite, strategy=strategy, query=query, dry_run=dry_run)
    text = warnings(capsys)
    assert "orders: The destination sync.orders has no column “sen”. Its runs will fail. Add it (ALTER TABLE" in text


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    ("query", "more", "is_warned"),
    [
        # the type is the destination's
        ("SELECT id AS id, v AS v, n AS note, s AS seen FROM s", "", True),
        ("SELECT id AS id, v AS v, n AS note, s AS seen FROM s", "watermark_column: id", False),
    ],
)
def test_the_import_warns_of_a_text_key_that_is_used_as_the_watermark(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], query: str, more: str, is_warned: bool, dry_run: bool
) -> None:
    with sqlite3.connect(tmp_path / "warehouse.db") as connection:
        connection.execute('CREATE TABLE "sync.orders" (id TEXT, v TEXT, note TEXT, seen INTEGER)')
    import_module(tmp_path, f"jdbc:sqlite:{tmp_path}/warehouse.db", query=query, more=more, dry_run=dry_run)
    text = warnings(capsys)
    assert ("Warning: orders: There is no watermark_column, so a run reads only rows whose id" in text) is is_warned
    assert text.count("Warning") == is_warned


def test_without_a_destination_a_key_is_known_as_text_by_a_trim_or_a_declared_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_module(tmp_path, f"jdbc:sqlite:{tmp_path}/new.db", query="SELECT RTRIM(code) AS id, v AS v FROM s")
    assert "orders: There is no watermark_column" in warnings(capsys)
    typed = "columns: [{dest_name: id, dest_type: varchar(9)}, {dest_name: v, dest_type: int}]"
    import_module(tmp_path, f"jdbc:sqlite:{tmp_path}/new.db", more=typed)
    assert "orders: There is no watermark_column" in warnings(capsys)


@pytest.mark.parametrize("dry_run", [False, True])
def test_the_import_warns_of_a_relative_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    import_module(tmp_path, "jdbc:sqlite:shop/warehouse.db", strategy="full", dry_run=dry_run)
    text = warnings(capsys)
    assert "Warning: warehouse: shop/warehouse.db is a relative path." in text and "Write the whole path." in text
    assert "erp" not in text
