"""Translates errors of connection attempts to a PostgreSQL server."""

from __future__ import annotations

from connections.connectors.postgresql.errors.causes import Cause, cause_of, missing_name
from connections.connectors.postgresql.errors.statement import label
from connections.sdk import errors

# class, message and hint; {address} and {missing} are replaced in the message
_Translation = tuple[type[errors.PipekitError], str, str]
_CHECK_ADDRESS = "Check host and port of the connection's URL, and that they are reachable from this machine."
_IS_IT_RUNNING = "Check that the server is running, and host and port of the connection's URL."
_SOCKET = (
    "Check that the server is running, and that the URL names the directory of its socket, which the server calls"
    " unix_socket_directories, and its port if that is not 5432: postgresql:///database?host=/run/postgresql."
)


def _unreachable(reason: str, hint: str = _CHECK_ADDRESS) -> _Translation:
    return errors.ConnectionFailed, f"No connection to {{address}}: {reason}.", hint


_TRANSLATIONS: dict[Cause, _Translation] = {
    Cause.NO_PASSWORD: (
        errors.AuthenticationFailed,
        "The server at {address} asks for a password, and the connection has none.",
        "Enter a reference such as $DW_PW as its password, and run: manage.py secrets set DW_PW. PGPASSWORD"
        " and ~/.pgpass are not used for connections.",
    ),
    Cause.WRONG_PASSWORD: (
        errors.AuthenticationFailed,
        "The server at {address} refused the username or password.",
        "Check the connection's username, and set its secret again: manage.py secrets set NAME, with the name that"
        " manage.py secrets list shows (manage.py secrets check does not log in).",
    ),
    Cause.CLEAR_TEXT_PASSWORD: (
        errors.AuthenticationFailed,
        "The server at {address} asks for the password in clear text over a connection without TLS; it was not sent.",
        "Enable TLS on the server (and require it with sslmode=verify-full in the URL), or let it use"
        " scram-sha-256. The option allow_cleartext_password allows it without TLS.",
    ),
    Cause.DATABASE_MISSING: (
        errors.DatabaseMissing,
        "The server at {address} has no database{missing}.",
        "Correct the database in the connection's URL, or create it (createdb, or CREATE DATABASE in the database"
        " postgres).",
    ),
    Cause.USER_MISSING: (
        errors.AuthenticationFailed,
        "The server at {address} has no user{missing}.",
        "Correct the connection's username, or create the user (createuser).",
    ),
    Cause.NOT_PERMITTED: (
        errors.AuthenticationFailed,
        "The server at {address} does not accept this user from this machine.",
        "Its pg_hba.conf has to allow the connection; ask its administrator.",
    ),
    Cause.TOO_MANY_CONNECTIONS: _unreachable(
        "it has no free connections", "Try again later, or raise max_connections on the server."
    ),
    Cause.HOST_UNKNOWN: _unreachable("the host name is unknown"),
    Cause.REFUSED: _unreachable("nothing listens on that port", _IS_IT_RUNNING),
    Cause.NO_SOCKET: _unreachable("there is no socket there", _SOCKET),
    Cause.NO_TLS: _unreachable(
        "the server does not support TLS, which the URL requires",
        "Enable TLS on the server, or remove sslmode from the connection's URL.",
    ),
    Cause.CERTIFICATE: _unreachable(
        "the server's certificate is not accepted",
        "Set sslrootcert in the URL to the authority that signed it, and use the host name in the certificate.",
    ),
    Cause.NOT_POSTGRESQL: _unreachable("it is not a PostgreSQL server"),
    Cause.CLOSED: _unreachable(
        "the connection was closed immediately",
        "Check that the port is PostgreSQL's. A proxy, a connection limit or a crash also closes connections.",
    ),
    Cause.TIMEOUT: _unreachable("timed out"),
}
_OTHERWISE = _unreachable("it could not be reached")


def from_connect_exception(error: BaseException, *, name: str, address: str) -> errors.PipekitError:
    """Return Pipekit's error for a failed attempt to connect to ``address``, with psycopg, asyncpg or ADBC."""
    error_class, message, hint = _TRANSLATIONS.get(cause_of(error), _OTHERWISE)
    missing = f" “{found}”" if (found := missing_name(error)) else ""
    text = message.format(address=address, missing=missing)
    return error_class(f"{label(name)} {text}", hint=hint, detail=str(error).strip() or type(error).__name__)
