"""A database of the tests is used again only when nothing of the last test is left in it."""

from __future__ import annotations

import psycopg
import pytest

from tests.databases import Databases


def execute(databases: Databases, name: str, *statements: str) -> None:
    with psycopg.connect(databases.url(name), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_one_that_can_be_emptied_is_used_again(databases: Databases) -> None:
    name = databases.take()
    execute(
        databases,
        name,
        "CREATE SCHEMA sync CREATE TABLE t (n integer PRIMARY KEY, v text)",
        "INSERT INTO sync.t VALUES (1, 'x')",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "ANALYZE",
    )
    databases.give_back(name)
    assert databases.take() == name
    execute(databases, name, "CREATE SCHEMA sync CREATE TABLE t (n integer)", "CREATE TABLE public.t (n integer)")
    databases.give_back(name)


@pytest.mark.parametrize(
    "left",
    [
        "REVOKE SELECT ON pg_catalog.pg_class FROM PUBLIC",
        "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
        "CREATE CAST (point AS jsonb) WITH INOUT",
        "CREATE PUBLICATION p",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
        "SELECT lo_create(0)",
    ],
)
def test_one_in_which_something_is_left_is_dropped(databases: Databases, left: str) -> None:
    name = databases.take()
    execute(databases, name, left)
    databases.give_back(name)
    with psycopg.connect(databases.server) as connection:
        assert connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None
