"""A metadata database that does not answer: what happened, why, and what to do, without its password.

Everything Pipekit knows is in there, so any command may meet this.
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

# words of libpq and the server -> what to do
_ADVICE: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("authentication failed", "no password supplied"),
        "Correct user and password in {where}. A password may also stand in ~/.pgpass instead.",
    ),
    (("pg_hba.conf",), "The server's pg_hba.conf does not let this user in from here; ask its administrator."),
    (("no such table", 'relation "'), "When it is new: manage.py migrate. Else its tables are elsewhere; see {where}."),
    (("does not exist",), "Create what is missing (createdb, createuser), or correct {where}."),
    (("translate host name", "name or service", "failed to resolve"), "Correct the host in {where}."),
    (("connection refused", "no such file"), "Start the server, or correct host and port in {where}."),
    (("timeout", "timed out"), "Is the server up, and may this machine reach it? Its address is in {where}."),
    (
        ("too many clients", "connection slots", "too many connections"),
        "Raise max_connections on the server: a run takes two connections, a web request one.",
    ),
    (
        ("permission denied for schema",),
        "Let the user make tables there: GRANT CREATE ON SCHEMA public TO ..., or make it the database's owner.",
    ),
    (("invalid",), "Correct what stands after the ? in {where}."),
    (("read-only",), "This server only reads; name the primary in {where}."),
    (("locked",), "Another program holds the file; see who does, then try again."),
)
_ELSE = "Look whether its server or file is there and may be written to: manage.py doctor. It is set in {where}."


class MetadataUnavailable(PipekitError):
    code = "metadata_unavailable"


def explained(error: Error) -> MetadataUnavailable:
    """Return a database's error as Pipekit's."""
    detail = redactor().text(" ".join(str(error).split()))
    low = detail.lower()
    advice = next((advice for words, advice in _ADVICE if any(word in low for word in words)), _ELSE)
    return MetadataUnavailable(
        f"The metadata database cannot be used: {_place()}.", hint=advice.format(where=_where()), detail=detail
    )


@contextmanager
def told() -> Iterator[None]:
    """End the process with a message where a traceback would say less."""
    try:
        yield
    except MetadataUnavailable as error:
        _end(error)
    except (OperationalError, InterfaceError) as error:
        _end(explained(error))


def _end(error: MetadataUnavailable) -> None:
    # imported here: it needs the apps, and this is there before them
    from runs.cli import text

    print(text.error(error.as_dict()), file=sys.stderr)
    raise SystemExit(1)


def _place() -> str:
    config: Config = settings.PIPEKIT
    return config.database if config.is_sqlite else url.shown(connection.settings_dict)


def _where() -> str:
    return f"`database` ({bootstrap.origins()['database'] or 'which is at its default'})"
