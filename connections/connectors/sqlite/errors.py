"""Translates errors of SQLite, from the sqlite3 module by their code, and from ADBC by their text."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from connections.connectors.sqlite import busy_wait
from connections.sdk import errors
from connections.sdk.sql.foreign_keys import ForeignKeyViolated

_CORRECT_SQL = "Correct the SQL; its text is on the run."
_CONSTRAINT = "The rows break a constraint of the destination table."
_BUSY = "Another process is writing to this file; the run is retried."
# SQLite has one code for all errors of a statement's text
_BY_TEXT: tuple[tuple[str, type[errors.PipekitError], str], ...] = (
    ("no such table", errors.TableMissing, "Check the table's name; SQLite has no schemas."),
    ("no such column", errors.ColumnMissing, "Check the column's spelling against the table."),
)
_NOT_AUTHORIZED = "A connection may access only its own file: ATTACH, VACUUM INTO and extensions are not allowed."
_BY_CODE: dict[int, tuple[type[errors.PipekitError], str]] = {
    sqlite3.SQLITE_BUSY: (errors.LockTimeout, _BUSY),
    sqlite3.SQLITE_FULL: (errors.DiskFull, "Free space on the disk of the file."),
    sqlite3.SQLITE_CONSTRAINT: (errors.InvalidValue, _CONSTRAINT),
    sqlite3.SQLITE_INTERRUPT: (errors.Cancelled, ""),
    sqlite3.SQLITE_READONLY: (
        errors.PermissionDenied,
        "The file or its directory is not writable for this user.",
    ),
    sqlite3.SQLITE_AUTH: (errors.PermissionDenied, _NOT_AUTHORIZED),
    sqlite3.SQLITE_NOTADB: (
        errors.DatabaseMissing,
        "The file is not a SQLite database; check the path in the URL.",
    ),
}


def from_sqlite3(error: sqlite3.Error, *, name: str, path: Path | None = None) -> errors.PipekitError:
    """Return Pipekit's error for one of sqlite3's; with ``path``, name the processes that lock the file."""
    text, low = f"{label(name)} {error}", str(error).lower()
    if translated := _by_text(text, low):
        return translated
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if path is not None and code == sqlite3.SQLITE_BUSY:
        text = f"{text}; {busy_wait.describe(path)}."
    # a function that is not authorized has only the general code
    if "authorized" in low:
        return errors.PermissionDenied(text, hint=_NOT_AUTHORIZED)
    if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        return ForeignKeyViolated(text, hint=_CONSTRAINT)
    error_class, hint = _BY_CODE.get(code, (errors.QueryInvalid, _CORRECT_SQL))
    return error_class(text, hint=hint)


def from_adbc(error: Exception, *, name: str, path: Path | None = None) -> errors.PipekitError:
    """Return Pipekit's error for one of ADBC's, which has no code of SQLite; ``path`` as for `from_sqlite3`."""
    if path is not None and not path.exists():
        return errors.DatabaseMissing(f"{label(name)} There is no file {path}.", hint="Check the path in the URL.")
    text, low = f"{label(name)} {str(error).removeprefix('INTERNAL: ')}", str(error).lower()
    if translated := _by_text(text, low):
        return translated
    if path and not path.exists():
        return errors.DatabaseMissing(f"{label(name)} There is no file {path}.", hint="Check the path in the URL.")
    if "values for" in low and "columns" in low:
        return errors.ColumnMissing(
            text, hint="The query returns another number of columns: refresh the module's columns from its query."
        )
    if "constraint failed" in low:
        return errors.InvalidValue(text, hint=_CONSTRAINT)
    if "locked" in low or "busy" in low:
        return errors.LockTimeout(f"{text}; {busy_wait.describe(path)}." if path else text, hint=_BUSY)
    if "unable to open" in low:
        return errors.ConnectionFailed(text, hint="Check that the file and its directory are readable for this user.")
    return errors.QueryInvalid(text, hint="Correct the source query; its text is on the run.")


def label(name: str) -> str:
    """Return the beginning of a message: the name of the connection if it has one."""
    return f"{name or 'SQLite'}:"


def _by_text(text: str, low: str) -> errors.PipekitError | None:
    return next((error_class(text, hint=hint) for part, error_class, hint in _BY_TEXT if part in low), None)
