"""Connection errors of PostgreSQL are classified alike for all drivers, by class, SQLSTATE or libpq's text."""

from __future__ import annotations

import errno
import socket
import ssl

import asyncpg
import psycopg
import pytest

from connections.connectors.postgresql.copy.guarded_connect import PasswordRequested, UnexpectedResponse
from connections.connectors.postgresql.errors.connect import from_connect_exception
from connections.sdk import errors

LIBPQ = 'connection to server at "10.0.0.1", port 5432 failed: '


def translated(error: BaseException) -> errors.PipekitError:
    return from_connect_exception(error, name="dw", address="10.0.0.1:5432")


@pytest.mark.parametrize(
    ("by_class", "by_text", "error_class", "message"),
    [
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"),
            "Connection refused",
            errors.ConnectionFailed,
            "nothing listens on that port",
        ),
        (
            FileNotFoundError(errno.ENOENT, "No such file"),
            "No such file or directory",
            errors.ConnectionFailed,
            "there is no socket there",
        ),
        (
            NotADirectoryError(errno.ENOTDIR, "Not a directory"),
            'connection to server on socket "/run/postgresql/.s.PGSQL.5432/.s.PGSQL.5432" failed: Not a directory',
            errors.ConnectionFailed,
            "there is no socket there",
        ),
        (
            socket.gaierror(-2, "unknown"),
            'could not translate host name "x" to address: Name or service not known',
            errors.ConnectionFailed,
            "the host name is unknown",
        ),
        (TimeoutError(), "timeout expired", errors.ConnectionFailed, "timed out"),
        (
            ConnectionResetError(errno.ECONNRESET, "reset"),
            "server closed the connection unexpectedly",
            errors.ConnectionFailed,
            "closed immediately",
        ),
        (
            ssl.SSLCertVerificationError("self-signed"),
            "SSL error: certificate verify failed",
            errors.ConnectionFailed,
            "certificate is not accepted",
        ),
        (
            ConnectionError('PostgreSQL server at "10.0.0.1:5432" rejected SSL upgrade'),
            "server does not support SSL, but SSL was required",
            errors.ConnectionFailed,
            "does not support TLS",
        ),
        (
            UnexpectedResponse("unexpected response"),
            "received invalid response to SSL negotiation: H",
            errors.ConnectionFailed,
            "not a PostgreSQL server",
        ),
        (
            asyncpg.TooManyConnectionsError("sorry"),
            "FATAL:  sorry, too many clients already",
            errors.ConnectionFailed,
            "no free connections",
        ),
        (
            asyncpg.InvalidPasswordError("Passwort-Authentifizierung fehlgeschlagen"),
            'FATAL:  password authentication failed for user "x"',
            errors.AuthenticationFailed,
            "refused the username or password",
        ),
        (
            PasswordRequested(),
            'auth method "password" requirement "!password" failed: server requested a cleartext password',
            errors.AuthenticationFailed,
            "it was not sent",
        ),
        (
            asyncpg.InvalidCatalogNameError('database "x" does not exist'),
            'FATAL:  database "x" does not exist',
            errors.DatabaseMissing,
            "has no database “x”.",
        ),
        (
            asyncpg.InvalidAuthorizationSpecificationError('role "x" does not exist'),
            'FATAL:  role "x" does not exist',
            errors.AuthenticationFailed,
            "has no user “x”.",
        ),
        (
            asyncpg.InvalidAuthorizationSpecificationError('no pg_hba.conf entry for host "10.0.0.2"'),
            'FATAL:  no pg_hba.conf entry for host "10.0.0.2"',
            errors.AuthenticationFailed,
            "does not accept this user from this machine",
        ),
        (OSError("strange"), "strange", errors.ConnectionFailed, "it could not be reached"),
    ],
)
def test_an_exception_and_the_text_of_libpq_have_the_same_classification(
    by_class: BaseException, by_text: str, error_class: type[errors.PipekitError], message: str
) -> None:
    for error in (by_class, psycopg.OperationalError(LIBPQ + by_text)):
        result = translated(error)
        assert type(result) is error_class, error
        assert result.message.startswith("dw: ") and message in result.message
        assert result.hint and result.detail


def test_a_message_omits_the_name_if_the_server_does_not_use_english() -> None:
    result = translated(asyncpg.InvalidCatalogNameError("Datenbank »x« existiert nicht"))
    assert (type(result), result.message) == (
        errors.DatabaseMissing,
        "dw: The server at 10.0.0.1:5432 has no database.",
    )
