"""Errors of the metadata database as MetadataUnavailable, with a hint and without its password.

Any command may raise them, as all commands use the database.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection

from connections.sdk.errors import PipekitError
from connections.secrets.redaction import redactor
from pipekit_site.config import config as bootstrap
from pipekit_site.config.config import Config
from pipekit_site.metadata import url

# parts of messages of libpq and the server -> hint
_ADVICE: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("authentication failed", "no password supplied"),
        "Correct user and password in {where}. The password may also be in ~/.pgpass instead.",
    ),
    (("pg_hba.conf",), "The server's pg_hba.conf does not allow this user from this host; ask its administrator."),
    (
        ("no such table", 'relation "'),
        "If the database is new, run manage.py migrate. Otherwise it is the wrong one: correct {where}.",
    ),
    (("does not exist",), "Create what is missing (createdb, createuser), or correct {where}."),
    (("translate host name", "name or service", "failed to resolve"), "Correct the host in {where}."),
    (("connection refused", "no such file"), "Start the server, or correct host and port in {where}."),
    (("timeout", "timed out"), "Is the server running, and reachable from this machine? Its address is in {where}."),
    (
        ("too many clients", "connection slots", "too many connections"),
        "Raise max_connections on the server: a run uses two connections, a web request one.",
    ),
    (
        ("permission denied for schema",),
        "Allow the user to create tables: GRANT CREATE ON SCHEMA public TO ..., or make it the database's owner.",
    ),
    (("invalid",), "Correct the parameters after the ? in {where}."),
    (("read-only",), "This server is read-only; name the primary in {where}."),
    (("locked",), "Another program has locked the file; find out which, then try again."),
)
_DEFAULT_ADVICE = "Check that its server or file exists and is writable, with manage.py doctor. It is set in {where}."


class MetadataUnavailable(PipekitError):
    """The metadata database cannot be used."""

    code = "metadata_unavailable"


def from_database_error(error: Error) -> MetadataUnavailable:
    """Return MetadataUnavailable for an error that Django's database layer has raised."""
    detail = redactor().text(" ".join(str(error).split()))
    lower = detail.lower()
    advice = next((advice for parts, advice in _ADVICE if any(part in lower for part in parts)), _DEFAULT_ADVICE)
    return MetadataUnavailable(
        f"The metadata database cannot be used: {_place()}.", hint=advice.format(where=_where()), detail=detail
    )


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Print an error of the metadata database and exit with code 1, instead of a traceback."""
    try:
        yield
    except MetadataUnavailable as error:
        _exit(error)
    except (OperationalError, InterfaceError) as error:
        _exit(from_database_error(error))


def _exit(error: MetadataUnavailable) -> None:
    # imported here, because it needs the app registry
    from runs.cli import text

    print(text.error(error.as_dict()), file=sys.stderr)
    raise SystemExit(1)


def _place() -> str:
    config: Config = settings.PIPEKIT
    return config.database if config.is_sqlite else url.shown(connection.settings_dict)


def _where() -> str:
    return f"`database` ({bootstrap.origins()['database'] or 'which has its default value'})"
