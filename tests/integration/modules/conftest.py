"""Databases that queries are executed on: SQLite, DuckDB and PostgreSQL, each with the tables of the grammar."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from connections import registry
from connections.sdk.sql.dialect import Dialect
from tests.queries.grammar import TABLES


@dataclass
class System:
    """A database with the tables; ``run`` returns column names and rows."""

    dialect: Dialect
    execute: Callable[[str], Any]
    run: Callable[[str], tuple[list[str], list[tuple[Any, ...]]]]


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    connection = sqlite3.connect(_path(tmp_path_factory, "mapping.db"))
    yield from _system("sqlite", connection.execute)
    connection.close()


@pytest.fixture(scope="module")
def duck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    connection = duckdb.connect(_path(tmp_path_factory, "mapping.duckdb"))
    yield from _system("duckdb", connection.execute)
    connection.close()


@pytest.fixture(scope="module")
def postgres(postgresql_server: str) -> Iterator[System]:
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA mapping")
        connection.execute("SET search_path = mapping")
        # client-side binding: { and % in the text are not placeholders
        yield from _system("postgresql", lambda sql: psycopg.ClientCursor(connection).execute(sql))
        connection.execute("DROP SCHEMA mapping CASCADE")


@pytest.fixture
def systems(sqlite: System, duck: System, postgres: System) -> dict[str, System]:
    return {system.dialect.name: system for system in (sqlite, duck, postgres)}


def _path(factory: pytest.TempPathFactory, name: str) -> str:
    path: Path = factory.mktemp("mapping") / name
    return str(path)


def _system(kind: str, execute: Callable[[str], Any]) -> Iterator[System]:
    def run(sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        cursor = execute(sql)
        return [column[0] for column in cursor.description], [tuple(row) for row in cursor.fetchall()]

    for statement in TABLES:
        execute(statement)
    yield System(registry.dialect(kind), execute, run)
