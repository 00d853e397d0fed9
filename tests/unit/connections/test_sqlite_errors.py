"""Errors of SQLite are classified by their code, those of ADBC by their text."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from connections.connectors.sqlite.driver import _authorize, _authorize_reading
from connections.connectors.sqlite.errors import from_adbc, from_sqlite3
from connections.sdk import errors
from connections.sdk.sql.foreign_keys import ForeignKeyViolated


def execute_failing(sql: str, connection: sqlite3.Connection) -> errors.PipekitError:
    with pytest.raises(sqlite3.Error) as caught:
        connection.execute(sql)
    return from_sqlite3(caught.value, name="erp")


@pytest.mark.parametrize(
    ("sql", "error_class"),
    [
        ("SELECT * FROM missing", errors.TableMissing),
        ("SELECT missing FROM t", errors.ColumnMissing),
        ("INSERT INTO t VALUES (NULL)", errors.InvalidValue),
        ("SELEC 1", errors.QueryInvalid),
        ("ATTACH '/tmp/other.db' AS other", errors.PermissionDenied),
    ],
)
def test_the_error_of_a_statement_is_classified(sql: str, error_class: type[errors.PipekitError]) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (a INTEGER NOT NULL)")
    connection.set_authorizer(_authorize)
    error = execute_failing(sql, connection)
    assert type(error) is error_class
    assert error.message.startswith("erp: ") and error.hint


def test_the_violation_of_a_foreign_key_is_reported_as_such() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(
        "PRAGMA foreign_keys = ON; CREATE TABLE p (k PRIMARY KEY); CREATE TABLE c (k REFERENCES p)"
    )
    error = execute_failing("INSERT INTO c VALUES (1)", connection)
    assert isinstance(error, ForeignKeyViolated)
    assert (error.code, error.constraint) == ("value_misfit", "")


def test_an_unauthorized_function_is_denied() -> None:
    connection = sqlite3.connect(":memory:")
    connection.set_authorizer(_authorize_reading)
    assert isinstance(execute_failing("SELECT load_extension('x')", connection), errors.PermissionDenied)


def test_errors_of_the_database_file_are_classified(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    file.write_text("no database " * 100)
    assert isinstance(execute_failing("SELECT 1 FROM sqlite_master", sqlite3.connect(file)), errors.DatabaseMissing)
    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE t (a)")
    read_only = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    assert isinstance(execute_failing("INSERT INTO t VALUES (1)", read_only), errors.PermissionDenied)
    with sqlite3.connect(file, isolation_level=None) as writer:
        writer.execute("BEGIN IMMEDIATE")
        busy = execute_failing("INSERT INTO t VALUES (1)", sqlite3.connect(file, timeout=0))
    assert (type(busy), busy.retryable) == (errors.LockTimeout, True)


@pytest.mark.parametrize(
    ("text", "error_class"),
    [
        ("INTERNAL: no such table: x", errors.TableMissing),
        ("no such column: x", errors.ColumnMissing),
        ("table t has 2 columns but 3 values for it; values for 2 columns", errors.ColumnMissing),
        ("NOT NULL constraint failed: t.a", errors.InvalidValue),
        ("database is locked", errors.LockTimeout),
        ("unable to open database file", errors.ConnectionFailed),
        ("near SELEC: syntax error", errors.QueryInvalid),
    ],
)
@pytest.mark.parametrize("name", ["erp", "locked, no such table"])
def test_the_error_of_adbc_is_classified_by_its_text(
    text: str, error_class: type[errors.PipekitError], name: str
) -> None:
    assert type(from_adbc(OSError(text), name=name)) is error_class
