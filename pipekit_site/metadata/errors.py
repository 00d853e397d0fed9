"""Translates errors of the metadata database to MetadataUnavailable, with a hint and without its password.

Any command may raise them, as all commands use the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, Error, InterfaceError, OperationalError, connection

from connections.connectors.postgresql.errors.causes import Cause, cause_of
from connections.management.exit_codes import ExitCode
from connections.sdk.errors import PipekitError
from connections.secrets.redaction import redactor
from pipekit_site.config import config as bootstrap
from pipekit_site.config.config import Config
from pipekit_site.metadata import sqlite_file, url

_CREDENTIALS = "Correct user and password in {where}. The password may also be in ~/.pgpass instead."
_CREATE = "Create what is missing (createdb, createuser), or correct {where}."
_ADDRESS = "Start the server, or correct host and port in {where}."
_PARAMETERS = "Correct the parameters after the ? in {where}."
# of connection attempts to a PostgreSQL server
_ADVICE: dict[Cause, str] = {
    Cause.NO_PASSWORD: _CREDENTIALS,
    Cause.WRONG_PASSWORD: _CREDENTIALS,
    Cause.DATABASE_MISSING: _CREATE,
    Cause.USER_MISSING: _CREATE,
    Cause.NOT_PERMITTED: "The server's pg_hba.conf does not allow this user from this host; ask its administrator.",
    Cause.HOST_UNKNOWN: "Correct the host in {where}.",
    Cause.REFUSED: _ADDRESS,
    Cause.NO_SOCKET: _ADDRESS,
    Cause.NOT_POSTGRESQL: _ADDRESS,
    Cause.TIMEOUT: "Is the server running, and reachable from this machine? Its address is in {where}.",
    Cause.TOO_MANY_CONNECTIONS: "Raise max_connections on the server: a run uses two connections, a web request one.",
    Cause.INVALID_PARAMETER: _PARAMETERS,
    Cause.NO_TLS: _PARAMETERS,
    Cause.CERTIFICATE: _PARAMETERS,
}
_NO_TABLES = "If the database is new, run manage.py migrate. Otherwise it is the wrong one: correct {where}."
# of statements, by SQLSTATE
_STATEMENT_ADVICE = {
    "42P01": _NO_TABLES,
    "42501": "Allow the user to create tables: GRANT CREATE ON SCHEMA public TO ..., or make it the database's owner.",
    "25006": "This server is read-only; name the primary in {where}.",
}
# PostgreSQL's SQLSTATEs of damaged tables and indexes
_DAMAGED = ("XX001", "XX002")
_LOCKED = "Another program has locked the file; find out which, then try again."
# of SQLite, by the beginning of the error's name
_SQLITE_ADVICE = {"SQLITE_BUSY": _LOCKED, "SQLITE_LOCKED": _LOCKED}
_DEFAULT_ADVICE = "Check that its server or file exists and is writable, with manage.py doctor. It is set in {where}."


class MetadataUnavailable(PipekitError):
    """The metadata database cannot be used."""

    code = "metadata_unavailable"


def from_database_error(error: Error) -> MetadataUnavailable:
    """Return MetadataUnavailable for an error that Django's database layer has raised."""
    detail = redactor().text(" ".join(str(error).split()))
    cause = _driver_error(error)
    place, advice = sqlite_file.explained(cause, Path(settings.PIPEKIT.database)) or (_place(), _advice(cause))
    return unavailable(place, advice or _DEFAULT_ADVICE, detail=detail)


def unavailable(place: str, advice: str, *, detail: str = "") -> MetadataUnavailable:
    """Return the error with a clause that says what is wrong, and advice, in which {where} is the key of the place."""
    hint = advice.replace("{where}", where())
    return MetadataUnavailable(f"The metadata database cannot be used: {place}.", hint=hint, detail=detail)


def is_unavailable(error: Exception) -> bool:
    """Return whether the error means that the database cannot be used, not that a statement is wrong."""
    return isinstance(error, OperationalError | InterfaceError) or is_damage(error)


def is_outage(error: Error) -> bool:
    """Return whether every statement fails, not only one that names a table or column that does not exist."""
    # SQLite has one name for all errors of a statement
    return is_unavailable(error) and getattr(_driver_error(error), "sqlite_errorname", "") != "SQLITE_ERROR"


def is_damage(error: Exception) -> bool:
    """Return whether the error means that the database is damaged."""
    cause = _driver_error(error) if isinstance(error, DatabaseError) else error
    return sqlite_file.is_damage(cause) or getattr(cause, "sqlstate", None) in _DAMAGED


def _driver_error(error: BaseException) -> BaseException:
    """Return the error of sqlite3 or psycopg below Django's, which migrations wrap in errors of their own."""
    while (cause := error.__cause__ or error.__context__) is not None:
        if hasattr(error, "sqlite_errorname") or getattr(error, "sqlstate", None):
            break
        error = cause
    return error


def _advice(error: BaseException) -> str | None:
    """Return the advice for an error of sqlite3 or psycopg."""
    if name := getattr(error, "sqlite_errorname", ""):
        # SQLite has no code of its own for a missing table
        is_missing = name == "SQLITE_ERROR" and "no such table" in str(error)
        return _NO_TABLES if is_missing else _SQLITE_ADVICE.get("_".join(name.split("_")[:2]))
    return _STATEMENT_ADVICE.get(getattr(error, "sqlstate", None) or "") or _ADVICE.get(cause_of(error))


@contextmanager
def exit_on_error(report: Callable[[Mapping[str, str]], object]) -> Iterator[None]:
    """Report an error of the metadata database and exit with code 1, instead of a traceback."""
    try:
        yield
    except (MetadataUnavailable, Error) as error:
        if isinstance(error, Error):
            if not is_unavailable(error):
                raise
            error = from_database_error(error)
        report(error.as_dict())
        raise SystemExit(ExitCode.FAILED) from None


def _place() -> str:
    config: Config = settings.PIPEKIT
    return config.database if config.is_sqlite else url.shown(connection.settings_dict)


def where() -> str:
    """Return the key that names the database, and where it is set."""
    return f"`database` ({bootstrap.origins()['database'] or 'which has its default value'})"
