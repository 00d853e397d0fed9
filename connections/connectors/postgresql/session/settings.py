"""The settings of PostgreSQL sessions: keywords of libpq for a connection, and parameters set on the server.

Imports no driver, since jrunner uses them with asyncpg alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from connections.connectors.postgresql.session import clear_text
from connections.connectors.postgresql.url_syntax import search_path
from connections.sdk.errors import UrlInvalid
from connections.sdk.parameters import ConnectionParameters
from connections.url.parse import parse_url

# settings on which text output depends, fixed whatever TZ, LC_ALL, PG* variables or the role's defaults say
SESSION = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "client_encoding": "UTF8",
    "lc_numeric": "C",
    "lc_monetary": "C",
    # if off, {NULL} is an array with the text NULL
    "array_nulls": "on",
    "xmloption": "content",
    "quote_all_identifiers": "off",
    "default_transaction_read_only": "off",
    # a statement after LOCK TABLE must see what was committed while it waited
    "default_transaction_isolation": "read committed",
}
# libpq keywords for properties of JDBC URLs; others have the same name
_KEYWORDS = {
    "ssl": "sslmode",
    "ApplicationName": "application_name",
    "gssEncMode": "gssencmode",
    "targetServerType": "target_session_attrs",
    "tcpKeepAlive": "keepalives",
}
# libpq's values for those of the JDBC driver and for booleans, by keyword; others are the same
_VALUES = {
    "sslmode": {"on": "require", "off": "disable"},
    "keepalives": {"on": "1", "off": "0"},
    "gssencmode": {"allow": "prefer"},
    "target_session_attrs": {
        "master": "primary",
        "slave": "standby",
        "secondary": "standby",
        "preferPrimary": "any",
        "preferSlave": "prefer-standby",
        "preferSecondary": "prefer-standby",
    },
}
_BOOLEANS = {"true": "on", "yes": "on", "1": "on", "false": "off", "no": "off", "0": "off"}
# properties that limit the seconds for connecting; the lowest limit counts
_CONNECT_TIMEOUTS = ("connectTimeout", "connect_timeout", "loginTimeout")
_DEFAULT_CONNECT_TIMEOUT = 10
# seconds for which a server may be idle, if the option no_progress_timeout is not set
_DEFAULT_TIMEOUT = 300
# keeps libpq and asyncpg from sending the password in PGPASSWORD or ~/.pgpass to the host of a connection
_NO_PASSWORD_FILE = "/dev/null/none"
_LIBPQ = frozenset(
    {
        "application_name",
        "channel_binding",
        "gssencmode",
        "keepalives",
        "sslcert",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "target_session_attrs",
    }
)


def libpq_settings(parameters: ConnectionParameters) -> dict[str, str]:
    """Return the libpq keywords for a connection; ``host`` may be a socket directory.

    With the option ``embedded`` (a data directory) the server there is started if it is not running. The password is
    always that of the connection, even if empty. Raises UrlInvalid for a connect timeout of less than a second.
    """
    url = parse_url(parameters.url, kind="postgresql")
    keywords = {
        "host": url.host,
        "port": str(url.port or 5432),
        "dbname": url.database or "postgres",
        "user": parameters.username or url.username or "postgres",
        "connect_timeout": str(_connect_timeout(url.properties, parameters)),
        "application_name": "pipekit",
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "6",
        # milliseconds for which sent data may remain unacknowledged
        "tcp_user_timeout": "90000",
    }
    if directory := parameters.options.get("embedded"):
        # imported late: few connections have this option
        from connections import embedded_postgresql

        host = embedded_postgresql.socket_directory(directory, within=parameters.protection.data_dir or None)
        keywords["host"] = host
        # connections of earlier versions name the superuser, as which only Pipekit itself logs in
        keywords["user"] = embedded_postgresql.ROLE if keywords["user"] == "postgres" else keywords["user"]
    for key, value in url.properties.items():
        keyword = _KEYWORDS.get(key, key)
        if keyword in _LIBPQ:
            keywords[keyword] = _VALUES.get(keyword, {}).get(_BOOLEANS.get(value.lower(), value), value)
    login = {"password": parameters.password, "passfile": _NO_PASSWORD_FILE}
    given = {key: value for key, value in keywords.items() if value}
    return given | login | clear_text.keywords(keywords, parameters)


def _connect_timeout(properties: Mapping[str, str], parameters: ConnectionParameters) -> int:
    """Return the seconds for connecting: the lowest of the URL's limits and the engine's."""
    limits = {name: int(properties[name]) for name in _CONNECT_TIMEOUTS if name in properties}
    for name, seconds in limits.items():
        # libpq and asyncpg take 0 and negative numbers as no limit, or as no time at all
        if seconds < 1:
            raise UrlInvalid(
                f"The value of the property “{name}” is not valid.", hint="Expected a number of seconds, at least 1."
            )
    return min([*limits.values(), *filter(None, [parameters.connect_timeout])], default=_DEFAULT_CONNECT_TIMEOUT)


def no_progress_timeout(parameters: ConnectionParameters) -> float:
    """Return the seconds for which the server may be idle; 0 means no timeout."""
    return float(_DEFAULT_TIMEOUT if parameters.no_progress_timeout is None else parameters.no_progress_timeout)


def address(keywords: Mapping[str, str]) -> str:
    """Return host and port of the libpq keywords, for messages."""
    host = keywords.get("host", "localhost")
    return host if host.startswith("/") else f"{host}:{keywords.get('port', '5432')}"


def session_settings(parameters: ConnectionParameters) -> dict[str, str]:
    """Return the settings of every session except client_encoding: the fixed ones and those of the connection."""
    path = search_path(parameters)
    read_only = parse_url(parameters.url, kind="postgresql").properties.get("readOnly", "").lower()
    fixed = {**SESSION, "default_transaction_read_only": _BOOLEANS.get(read_only, "off")}
    extra = cast(dict[str, Any], parameters.options.get("session") or {})
    pairs = {**fixed, **({"search_path": path} if path else {}), **extra}
    return {key: str(value) for key, value in pairs.items() if key != "client_encoding"}


def session_options(parameters: ConnectionParameters) -> str:
    """Return libpq's ``options`` with the session settings."""
    return " ".join(f"-c {key}={_escaped(value)}" for key, value in session_settings(parameters).items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
