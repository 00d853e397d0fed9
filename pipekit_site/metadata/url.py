"""A metadata database's URL as Django's settings, and as messages may show it.

What the URL itself says is stronger than what is added here.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote, unquote, urlencode

import environ

# A server that is gone is noticed within half a minute; one that was never there, sooner.
_NOTICING = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
# libpq would send them at every start, and what they ask for is how psycopg cannot read
_NOT_FOR_US = ("PGDATESTYLE", "PGTZ")
# what pg_dump needs as well
_PLACES = ("host", "port", "user", "sslmode", "sslcert", "sslkey", "sslrootcert")


def postgresql(url: str) -> dict[str, Any]:
    """Return Django's settings for a database that is PostgreSQL."""
    # not at every start of an install whose metadata is elsewhere: it takes as long as Django's own start
    from psycopg import IsolationLevel

    for name in _NOT_FOR_US:
        os.environ.pop(name, None)
    found: dict[str, Any] = environ.Env.db_url_config(url)
    options = {
        **_NOTICING,
        "application_name": "pipekit",
        # a server or role whose default is another would break both: reading dates, and claiming by who is first
        "options": "-c datestyle=ISO",
        "isolation_level": IsolationLevel.READ_COMMITTED,
    }
    # a socket's directory stands in a URL with its slashes quoted
    return {**found, "HOST": unquote(found["HOST"]), "OPTIONS": {**options, **found.get("OPTIONS", {})}}


def shown(database: dict[str, Any]) -> str:
    """Return host, port, name and user of PostgreSQL's settings, never the password."""
    options = database.get("OPTIONS", {})
    host = database["HOST"] or options.get("host") or "localhost"
    place = host if host.startswith("/") else f"{host}:{database['PORT'] or options.get('port') or 5432}"
    user = database["USER"] or options.get("user")
    return f"{database['NAME']} at {place}" + (f" as {user}" if user else "")


def without_password(database: dict[str, Any]) -> str:
    """Return a URL for PostgreSQL's own programs, which ask for the password or find it in ~/.pgpass."""
    user, host, port = (quote(str(database[key]), safe=":,") for key in ("USER", "HOST", "PORT"))
    host = f"[{host}]" if host.count(":") > 1 else host
    place = f"{user}@" * bool(user) + host + f":{port}" * bool(port)
    extra = {key: value for key, value in database.get("OPTIONS", {}).items() if key in _PLACES}
    query = f"?{urlencode(extra)}" if extra else ""
    return f"postgresql://{place}/{quote(database['NAME'], safe='')}{query}"
