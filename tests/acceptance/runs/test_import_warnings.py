"""Importing a module, and the dry run of that, says what its runs will lose, leave out or fail for."""

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


def imported(
    tmp_path: Path,
    url: str,
    *,
    kind: str = "sqlite",
    strategy: str = "incremental",
    query: str = "",
    dry_run: bool = False,
    more: str = "",
) -> None:
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


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    path = tmp_path / "warehouse.db"
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE "sync.orders" (id INTEGER PRIMARY KEY, v TEXT, note TEXT, seen INTEGER)')
    return f"jdbc:sqlite:{path}"


def test_columns_that_an_incremental_module_resets_are_named_when_it_is_imported(
    tmp_path: Path, sqlite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(tmp_path, sqlite)
    assert "orders: Columns of sync.orders that the query does not fill are reset" in (text := said(capsys))
    assert "note, seen" in text and "upsert does not change them" in text
    # what the file leaves as it was is not said again
    imported(tmp_path, sqlite)
    assert said(capsys) == ""
    imported(tmp_path, sqlite, query="SELECT id AS id, v AS v, n AS note FROM s")
    assert "again: seen." in said(capsys)


def test_a_default_that_a_row_gets_anew_is_not_named(
    tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(database_url, autocommit=True) as server:
        server.execute("CREATE SCHEMA sync")
        server.execute("CREATE TABLE sync.orders (id int, v text, note text, at timestamp DEFAULT now())")
    imported(tmp_path, database_url, kind="postgresql")
    assert "again: note." in said(capsys)


def test_columns_of_a_duckdb_table_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with duckdb.connect(str(tmp_path / "w.duckdb")) as file:
        file.execute("CREATE SCHEMA sync; CREATE TABLE sync.orders (id int, v text, note text)")
    imported(tmp_path, f"jdbc:duckdb:{tmp_path}/w.duckdb", kind="duckdb")
    assert "again: note." in said(capsys)


@pytest.mark.parametrize("strategy", ["upsert", "append"])
def test_other_strategies_reset_nothing(
    tmp_path: Path, sqlite: str, capsys: pytest.CaptureFixture[str], strategy: str
) -> None:
    imported(tmp_path, sqlite, strategy=strategy)
    assert said(capsys) == ""


def test_a_destination_that_is_not_there_yet_is_not_made_by_an_import(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(tmp_path, f"jdbc:sqlite:{tmp_path}/new.db")
    assert said(capsys) == ""
    assert not (tmp_path / "new.db").exists()


def test_a_destination_that_does_not_answer_is_named_and_soon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        started = time.monotonic()
        imported(tmp_path, f"jdbc:postgresql://127.0.0.1:{taken.getsockname()[1]}/dw", kind="postgresql")
    # the module first, then the connection, once
    text = said(capsys)
    assert "Warning: orders: which columns of its destination are reset is not known. warehouse: No connection" in text
    assert text.count("warehouse") == 1
    assert time.monotonic() - started < 10


def test_a_destination_that_does_not_answer_is_named_for_the_other_strategies_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"jdbc:postgresql://127.0.0.1:{taken.getsockname()[1]}/dw"
        imported(tmp_path, url, kind="postgresql", strategy="full")
    assert "orders: whether its destination has the columns of the query is not known. warehouse: No" in said(capsys)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_dry_run_says_what_the_import_says_and_changes_nothing(
    tmp_path: Path, sqlite: str, capsys: pytest.CaptureFixture[str], dry_run: bool
) -> None:
    imported(tmp_path, sqlite, dry_run=dry_run)
    assert "Warning: orders: Columns of sync.orders that the query does not fill are reset" in said(capsys)
    assert Module.objects.exists() is not dry_run
    # a module that is there, and changed by the file
    imported(tmp_path, sqlite)
    said(capsys)
    imported(tmp_path, sqlite, query="SELECT id AS id, v AS v, n AS note FROM s", dry_run=dry_run)
    assert "again: seen." in said(capsys)
    assert ("note" in Module.objects.get().source_query) is not dry_run


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("strategy", ["full", "incremental", "append", "upsert"])
def test_a_column_that_the_destination_lacks_is_named_when_it_is_imported(
    tmp_path: Path, sqlite: str, capsys: pytest.CaptureFixture[str], strategy: str, dry_run: bool
) -> None:
    query = "SELECT id AS id, v AS v, note AS note, seen AS sen FROM s"
    imported(tmp_path, sqlite, strategy=strategy, query=query, dry_run=dry_run)
    text = said(capsys)
    assert "orders: The destination sync.orders has no column “sen”. Its runs will fail. Add it (ALTER TABLE" in text


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    ("query", "more", "is_said"),
    [
        # the type is the destination's
        ("SELECT id AS id, v AS v, n AS note, s AS seen FROM s", "", True),
        ("SELECT id AS id, v AS v, n AS note, s AS seen FROM s", "watermark_column: id", False),
    ],
)
def test_a_text_key_that_stands_in_for_the_watermark_is_named_when_it_is_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], query: str, more: str, is_said: bool, dry_run: bool
) -> None:
    with sqlite3.connect(tmp_path / "warehouse.db") as connection:
        connection.execute('CREATE TABLE "sync.orders" (id TEXT, v TEXT, note TEXT, seen INTEGER)')
    imported(tmp_path, f"jdbc:sqlite:{tmp_path}/warehouse.db", query=query, more=more, dry_run=dry_run)
    text = said(capsys)
    assert ("Warning: orders: There is no watermark_column, so a run reads only rows whose id" in text) is is_said
    assert text.count("Warning") == is_said


def test_a_key_that_the_query_trims_is_a_text_before_there_is_a_destination(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(tmp_path, f"jdbc:sqlite:{tmp_path}/new.db", query="SELECT RTRIM(code) AS id, v AS v FROM s")
    assert "orders: There is no watermark_column" in said(capsys)
    typed = "columns: [{dest_name: id, dest_type: varchar(9)}, {dest_name: v, dest_type: int}]"
    imported(tmp_path, f"jdbc:sqlite:{tmp_path}/new.db", more=typed)
    assert "orders: There is no watermark_column" in said(capsys)
