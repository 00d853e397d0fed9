"""Errors of the metadata database have hints, chosen by class, SQLSTATE or SQLite's error name."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest
from django.db import OperationalError

from pipekit_site.metadata.errors import MetadataUnavailable, from_database_error


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
