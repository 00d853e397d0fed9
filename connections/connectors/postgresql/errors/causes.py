"""Determines the cause of a failed connection attempt from the exception's class, its SQLSTATE, or libpq's text.

libpq reports neither a class nor a SQLSTATE for a failed attempt, only English text. `_LIBPQ` is the only place where
such text is interpreted.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from enum import Enum, auto


class Cause(Enum):
    """Why no connection could be opened. An exception may carry it as its attribute ``cause``."""

    NO_PASSWORD = auto()
    WRONG_PASSWORD = auto()
    # the server requests the password in clear text over a connection without TLS
    CLEAR_TEXT_PASSWORD = auto()
    DATABASE_MISSING = auto()
    USER_MISSING = auto()
    # no matching line in pg_hba.conf
    NOT_PERMITTED = auto()
    TOO_MANY_CONNECTIONS = auto()
    HOST_UNKNOWN = auto()
    REFUSED = auto()
    NO_SOCKET = auto()
    NO_TLS = auto()
    CERTIFICATE = auto()
    NOT_POSTGRESQL = auto()
    CLOSED = auto()
    TIMEOUT = auto()
    INVALID_PARAMETER = auto()
    UNKNOWN = auto()


# the first class of which the exception is an instance counts
_BY_CLASS: tuple[tuple[type[BaseException], Cause], ...] = (
    (ConnectionRefusedError, Cause.REFUSED),
    (ConnectionResetError, Cause.CLOSED),
    (FileNotFoundError, Cause.NO_SOCKET),
    (NotADirectoryError, Cause.NO_SOCKET),
    (socket.gaierror, Cause.HOST_UNKNOWN),
    (TimeoutError, Cause.TIMEOUT),
)
# the server uses 28000 both for a missing role and for pg_hba.conf, so these are told apart by text
_BY_SQLSTATE = {
    "28P01": Cause.WRONG_PASSWORD,
    "3D000": Cause.DATABASE_MISSING,
    "53300": Cause.TOO_MANY_CONNECTIONS,
}
# the first pattern that occurs in the message, in whatever case, counts
_LIBPQ: tuple[tuple[Cause, str], ...] = (
    (Cause.NO_PASSWORD, "no password supplied"),
    (Cause.WRONG_PASSWORD, "authentication failed"),
    (Cause.CLEAR_TEXT_PASSWORD, "requested a cleartext password"),
    (Cause.DATABASE_MISSING, 'database "(?P<name>.*?)" does not exist'),
    (Cause.USER_MISSING, 'role "(?P<name>.*?)" does not exist'),
    (Cause.NOT_PERMITTED, r"pg_hba\.conf"),
    (Cause.HOST_UNKNOWN, "name or service not known|could not translate host name|failed to resolve"),
    (Cause.REFUSED, "connection refused"),
    (Cause.NO_SOCKET, "no such file or directory|not a directory"),
    # the second is asyncpg's, which has no class for it
    (Cause.NO_TLS, "does not support ssl|rejected ssl upgrade"),
    (Cause.CERTIFICATE, "certificate"),
    (Cause.NOT_POSTGRESQL, "invalid response"),
    (Cause.CLOSED, "server closed the connection|connection reset"),
    (Cause.TIMEOUT, "timeout|timed out"),
    (Cause.TOO_MANY_CONNECTIONS, "too many clients|connection slots|too many connections"),
    (Cause.INVALID_PARAMETER, "invalid"),
)


def cause_of(error: BaseException) -> Cause:
    """Return why the attempt failed, from an exception of psycopg, asyncpg, ADBC or the network."""
    if isinstance(cause := getattr(error, "cause", None), Cause):
        return cause
    # imported here: needed only when an attempt has failed
    from ssl import SSLCertVerificationError

    for error_class, cause in ((SSLCertVerificationError, Cause.CERTIFICATE), *_BY_CLASS):
        if isinstance(error, error_class):
            return cause
    state = getattr(error, "sqlstate", None) or ""
    return _BY_SQLSTATE.get(state) or next((cause for cause, _ in _matches(str(error))), Cause.UNKNOWN)


def missing_name(error: BaseException) -> str:
    """Return the name of the database or role that does not exist, empty if the message does not contain it."""
    return next((match.groupdict().get("name", "") for _, match in _matches(str(error))), "")


def _matches(text: str) -> Iterator[tuple[Cause, re.Match[str]]]:
    for cause, pattern in _LIBPQ:
        if match := re.search(pattern, text, re.IGNORECASE):
            yield cause, match
