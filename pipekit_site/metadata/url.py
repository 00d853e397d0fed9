"""Converts the metadata database's URL to Django's settings, and formats such settings without the password.

Parameters of the URL override the defaults added here.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote, unquote, urlencode

import environ

# libpq parameters that detect a lost connection within half a minute, and an unreachable server within ten seconds
_TIMEOUTS = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
# variables that make libpq set formats that psycopg cannot parse
_IGNORED_VARIABLES = ("PGDATESTYLE", "PGTZ")
# parameters that pg_dump needs too
_PG_DUMP_PARAMETERS = ("host", "port", "user", "sslmode", "sslcert", "sslkey", "sslrootcert")


def postgresql(url: str) -> dict[str, Any]:
    """Return Django's settings for a PostgreSQL database."""
    # imported here: it takes as long as Django's own start, and metadata in SQLite does not need it
    from psycopg import IsolationLevel

    for name in _IGNORED_VARIABLES:
        os.environ.pop(name, None)
    database: dict[str, Any] = environ.Env.db_url_config(url)
    options = {
        **_TIMEOUTS,
        "application_name": "pipekit",
        # other defaults of a server or role would break parsing of dates, and claims by conditional UPDATE
        "options": "-c datestyle=ISO",
        "isolation_level": IsolationLevel.READ_COMMITTED,
    }
    # the slashes of a socket's directory are percent-encoded in a URL
    return {**database, "HOST": unquote(database["HOST"]), "OPTIONS": {**options, **database.get("OPTIONS", {})}}


def shown(database: dict[str, Any]) -> str:
    """Return name, host, port and user of PostgreSQL's settings for messages, without the password."""
    options = database.get("OPTIONS", {})
    host = database["HOST"] or options.get("host") or "localhost"
    place = host if host.startswith("/") else f"{host}:{database['PORT'] or options.get('port') or 5432}"
    user = database["USER"] or options.get("user")
    return f"{database['NAME']} at {place}" + (f" as {user}" if user else "")


def without_password(database: dict[str, Any]) -> str:
    """Return a URL for PostgreSQL's programs, which prompt for the password or read it from ~/.pgpass."""
    user, host, port = (quote(str(database[key]), safe=":,") for key in ("USER", "HOST", "PORT"))
    host = f"[{host}]" if host.count(":") > 1 else host
    place = f"{user}@" * bool(user) + host + f":{port}" * bool(port)
    extra = {key: value for key, value in database.get("OPTIONS", {}).items() if key in _PG_DUMP_PARAMETERS}
    query = f"?{urlencode(extra)}" if extra else ""
    return f"postgresql://{place}/{quote(database['NAME'], safe='')}{query}"
