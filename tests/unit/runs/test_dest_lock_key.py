"""The key that locks a destination table is the same for all spellings of its address and name, and for no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connections.models import Connection, Driver
from modules.models import Module
from runs.lifecycle.dest_lock_key import dest_lock_key, is_key_of


def module(url: str, table: str, kind: str = "", **options: Any) -> Module:
    kind = kind or url.removeprefix("jdbc:").partition(":")[0]
    connection = Connection(driver=Driver(kind=kind), jdbc_url=url, options=options)
    return Module(name="orders", dest_connection=connection, dest_table=table)


def key(url: str, table: str = "sync.orders", *, kind: str = "", **options: Any) -> str:
    return dest_lock_key(module(url, table, kind, **options))


SAME_ADDRESS = [
    ("jdbc:postgresql://db.example.com/dw", "jdbc:postgresql://db.example.com:5432/dw"),
    ("jdbc:postgresql://DB.example.com/dw", "jdbc:postgresql://db.example.com/dw"),
    ("jdbc:postgresql://db.example.com./dw", "jdbc:postgresql://db.example.com/dw"),
    ("jdbc:postgresql://localhost/dw", "jdbc:postgresql://127.0.0.1:5432/dw"),
    ("jdbc:postgresql://[::1]/dw", "jdbc:postgresql://localhost/dw"),
    ("jdbc:postgresql://h/postgres", "jdbc:postgresql://h"),
    ("jdbc:postgresql://h/dw?ApplicationName=a", "jdbc:postgresql://h/dw"),
    ("jdbc:postgresql://[::ffff:127.0.0.1]/dw", "jdbc:postgresql://localhost/dw"),
    ("jdbc:postgresql://[::ffff:192.0.2.7]/dw", "jdbc:postgresql://192.0.2.7/dw"),
    ("postgresql:///dw?host=/run/pg", "postgresql://etl@/dw?host=/run/pg/&port=5432"),
    ("jdbc:sqlserver://h;databaseName=dw", "jdbc:sqlserver://H:1433;databaseName=dw"),
    ("jdbc:clickhouse://h/dw", "jdbc:clickhouse://h:8123/?database=dw"),
    ("jdbc:sqlserver://h\\one;databaseName=dw", "jdbc:sqlserver://h;instanceName=ONE;databaseName=dw"),
    ("jdbc:sqlserver://h\\one:1500;databaseName=dw", "jdbc:sqlserver://h:1500;databaseName=dw"),
    ("jdbc:mysql://h/dw", "jdbc:mysql://h:3306/dw"),
    ("jdbc:duckdb:/data/dw.duckdb", "jdbc:duckdb:///data//dw.duckdb"),
]


@pytest.mark.parametrize(("one", "other"), SAME_ADDRESS)
def test_the_spellings_of_one_address_share_a_key(one: str, other: str) -> None:
    assert key(one) == key(other)


def test_the_prefixes_of_mysql_and_mariadb_name_the_same_server() -> None:
    assert key("jdbc:mariadb://h/dw", kind="mysql") == key("jdbc:mysql://h/dw")


def test_a_connection_of_the_generic_kind_shares_the_key_of_the_system_in_its_url() -> None:
    assert key("jdbc:postgresql://h/dw", kind="jdbc") == key("jdbc:postgresql://h/dw")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("jdbc:postgresql://a/dw", "jdbc:postgresql://b/dw"),
        ("jdbc:postgresql://h/dw", "jdbc:postgresql://h/DW"),
        ("jdbc:postgresql://h:5432/dw", "jdbc:postgresql://h:5433/dw"),
        ("jdbc:sqlserver://h\\one;databaseName=dw", "jdbc:sqlserver://h\\two;databaseName=dw"),
        ("jdbc:sqlserver://h\\one;databaseName=dw", "jdbc:sqlserver://h;databaseName=dw"),
        ("jdbc:duckdb:/data/a.duckdb", "jdbc:duckdb:/data/b.duckdb"),
        ("postgresql:///dw?host=/run/pg", "postgresql:///dw?host=/run/pg&port=5433"),
        ("jdbc:snowflake://a.snowflakecomputing.com/?db=a", "jdbc:snowflake://a.snowflakecomputing.com/?db=b"),
    ],
)
def test_different_addresses_have_different_keys(one: str, other: str) -> None:
    assert key(one) != key(other)


def test_different_systems_of_the_generic_kind_have_different_keys() -> None:
    one, other = (key(f"jdbc:{system}://h/dw", kind="jdbc") for system in ("informix-sqli", "sybase"))
    assert one != other


def test_the_links_to_a_file_share_its_key(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    (tmp_path / "other.db").symlink_to(tmp_path / "data/dw.db")
    keys = {key(f"jdbc:sqlite:{tmp_path}/{name}") for name in ("data/dw.db", "link/dw.db", "other.db")}
    assert len(keys) == 1


def test_the_links_to_the_directory_of_a_socket_share_its_key(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    socket, link = (key(f"postgresql:///dw?host={tmp_path}/{name}") for name in ("run", "link"))
    assert socket == link == key("jdbc:postgresql://h/dw", embedded=str(tmp_path / "link"))


def test_a_relative_path_shares_the_key_of_the_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert key("jdbc:sqlite:dw.db") == key(f"jdbc:sqlite:{tmp_path}/dw.db")


def test_the_url_of_an_embedded_server_names_only_the_database(tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    assert key("jdbc:postgresql://h/dw", embedded=one) != key("jdbc:postgresql://h/dw", embedded=two)
    assert key("jdbc:postgresql://h/dw", embedded=one) != key("jdbc:postgresql://h/dw")
    assert key("jdbc:postgresql://h/dw", embedded=one) == key("jdbc:postgresql://localhost/dw", embedded=f"{one}/")


@pytest.mark.parametrize(
    ("url", "one", "other"),
    [
        ("jdbc:postgresql://h/dw", "orders", "public.orders"),
        ("jdbc:postgresql://h/dw", '"orders"', "orders"),
        ("jdbc:duckdb:/data/dw.duckdb", "orders", "main.orders"),
        ("jdbc:duckdb:/data/dw.duckdb", "sync.ORDERS", "Sync.orders"),
        ("jdbc:sqlite:/data/dw.db", "Orders", "main.orders"),
        ("jdbc:sqlite:/data/dw.db", '"sync.orders"', "sync.orders"),
        ("jdbc:sqlserver://h;databaseName=dw", "Orders", "dbo.orders"),
    ],
)
def test_the_names_of_one_table_share_a_key(url: str, one: str, other: str) -> None:
    assert key(url, one) == key(url, other)


@pytest.mark.parametrize(
    ("path", "schema"),
    [("app", "app"), ("app, other", "app"), ("APP", "app"), ('"App"', "App"), ('"$user", app', "app"), ("", "public")],
)
def test_a_table_without_a_schema_is_in_the_first_one_of_the_connection_s_search_path(path: str, schema: str) -> None:
    by_option = key("jdbc:postgresql://h/dw", "orders", session={"search_path": path})
    assert by_option == key("jdbc:postgresql://h/dw", f"{schema}.orders")


def test_the_url_can_name_the_schema_of_tables_without_one() -> None:
    url = "jdbc:postgresql://h/dw?currentSchema=app,other"
    assert key(url, "orders") == key("jdbc:postgresql://h/dw", "app.orders") != key(url, "public.orders")
    assert key(url, "orders", session={"search_path": "own"}) == key(url, "own.orders")


@pytest.mark.parametrize(
    ("url", "one", "other"),
    [
        ("jdbc:postgresql://h/dw", "sync.orders", "sync.Orders"),
        ("jdbc:postgresql://h/dw", '"a.b".c', 'a."b.c"'),
        ("jdbc:duckdb:/data/dw.duckdb", "a.orders", "b.orders"),
    ],
)
def test_different_tables_have_different_keys(url: str, one: str, other: str) -> None:
    assert key(url, one) != key(url, other)


@pytest.mark.parametrize(
    ("url", "table", "stored"),
    [
        ("jdbc:postgresql://DB.example.com/dw", "sync.orders", "postgresql:DB.example.com:None/dw:sync.orders"),
        ("jdbc:postgresql://127.0.0.1:5432/dw", "orders", "postgresql:127.0.0.1:5432/dw:public.orders"),
        ("jdbc:postgresql://h/dw?currentSchema=app", "orders", "postgresql:h:None/dw:public.orders"),
        ("jdbc:sqlite:/data//dw.db", "Orders", "sqlite:/data/dw.db:.Orders"),
        ("jdbc:duckdb:dw.duckdb", "sync.Orders", "duckdb:dw.duckdb:sync.Orders"),
    ],
)
def test_the_key_that_an_earlier_version_stored_is_that_of_the_same_table(url: str, table: str, stored: str) -> None:
    destination = module(url, table)
    assert is_key_of(stored, destination)
    assert is_key_of(dest_lock_key(destination), destination)
    assert not is_key_of(f"{stored}2", destination)
    assert not is_key_of(key("jdbc:postgresql://other/dw"), destination)
