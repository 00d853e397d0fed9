"""Errors of the metadata database have hints, chosen by class, SQLSTATE or SQLite's error name."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, OperationalError
from django.http import HttpResponse
from django.test import RequestFactory
from pytest_django.fixtures import Settings

from pipekit_site.metadata.errors import MetadataUnavailable, exit_on_error, from_database_error
from pipekit_site.metadata.middleware import MetadataUnavailableMiddleware


def translated(cause: Exception) -> MetadataUnavailable:
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return from_database_error(error)


@pytest.mark.parametrize(
    ("cause", "hint"),
    [
        (psycopg.errors.UndefinedTable('relation "module" does not exist'), "manage.py migrate"),
        (psycopg.errors.InsufficientPrivilege("permission denied for schema public"), "GRANT CREATE ON SCHEMA"),
        (psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT"), "name the primary"),
        (psycopg.OperationalError('FATAL:  database "meta" does not exist'), "createdb"),
        (psycopg.OperationalError("fe_sendauth: no password supplied"), "Correct user and password"),
        (psycopg.OperationalError("FATAL:  sorry, too many clients already"), "max_connections"),
        (psycopg.OperationalError('invalid sslmode value: "odd"'), "after the ?"),
        (psycopg.OperationalError("SSL error: certificate verify failed"), "after the ?"),
        (psycopg.OperationalError("received invalid response to SSL negotiation: H"), "correct host and port"),
        (psycopg.OperationalError("something else"), "manage.py doctor"),
    ],
)
def test_an_error_of_postgresql_has_a_hint(cause: Exception, hint: str) -> None:
    error = translated(cause)
    assert hint in error.hint and "{where}" not in error.hint
    assert (error.code, error.detail) == ("metadata_unavailable", " ".join(str(cause).split()))


def test_an_error_of_sqlite_has_a_hint(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db", isolation_level=None) as holder:
        with pytest.raises(sqlite3.Error) as missing:
            holder.execute("SELECT * FROM module")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.Error) as locked:
            sqlite3.connect(tmp_path / "x.db", timeout=0).execute("SELECT * FROM sqlite_master")
    assert "manage.py migrate" in translated(missing.value).hint
    assert "locked the file" in translated(locked.value).hint


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def replace_by_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def overwrite(file: Path) -> None:
    file.write_text("no database, " * 1000)


@pytest.fixture
def database(tmp_path: Path, settings: Settings) -> Path:
    file = tmp_path / "pipekit.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE module AS SELECT zeroblob(100000) AS name")
    connection.close()
    settings.PIPEKIT = replace(settings.PIPEKIT, database=str(file))
    return file


def error_of_reading(file: Path) -> DatabaseError:
    """Return the error of reading the file, of the class that Django gives it."""
    with pytest.raises(sqlite3.Error) as raised:
        sqlite3.connect(file).execute("SELECT * FROM module").fetchall()
    is_operational = isinstance(raised.value, sqlite3.OperationalError)
    error = (OperationalError if is_operational else DatabaseError)(str(raised.value))
    error.__cause__ = raised.value
    return error


@pytest.mark.parametrize(
    ("damage", "wrong", "hint"),
    [
        (cut, "is damaged", "put the last backup in its place"),
        (overwrite, "is not a SQLite database", "put the last backup in its place"),
        (replace_by_directory, "is a directory", "Put the database or its last backup there"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong_and_how_to_restore_it(
    database: Path, damage: Callable[[Path], None], wrong: str, hint: str
) -> None:
    damage(database)
    error = error_of_reading(database)
    reported: list[str] = []
    with pytest.raises(SystemExit) as ended, exit_on_error(lambda fields: reported.extend(fields.values())):
        raise error
    assert ended.value.code == 1
    code, message, advice, _ = reported
    assert (code, message) == ("metadata_unavailable", f"The metadata database cannot be used: {database} {wrong}.")
    assert hint in advice and "{where}" not in advice


def test_a_page_answers_503_without_the_place_of_the_database(database: Path, caplog: pytest.LogCaptureFixture) -> None:
    overwrite(database)
    middleware = MetadataUnavailableMiddleware(lambda request: HttpResponse())
    response = middleware.process_exception(RequestFactory().get("/admin/"), error_of_reading(database))
    assert response is not None and response.status_code == 503
    assert b"manage.py doctor" in response.content and str(database).encode() not in response.content
    assert f"{database} is not a SQLite database" in caplog.text
    assert middleware.process_exception(RequestFactory().get("/admin/"), IntegrityError("a bug")) is None
