"""Translation of PostgreSQL's errors to Pipekit's: by SQLSTATE, and while connecting by libpq's message.

Only errors that can pass by themselves are retryable: lost connections, locks and time limits.

Source of the codes: PostgreSQL documentation, appendix "PostgreSQL Error Codes".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import psycopg

from connections.sdk import errors

# the server's message for a missing database or user
_MISSING = re.compile(r'(database|role) "(.*?)" does not exist')
# class and hint
_Translation = tuple[type[errors.PipekitError], str]
_TIME_LIMIT = "A time limit of the server, the role or the database was exceeded; raise the one named in the message."
_SERVER_FAULT = "The server has an internal problem; see its log, or ask its administrator."
_BY_STATE: dict[str, _Translation] = {
    "22012": (errors.InvalidValue, "Guard the division in the SQL, as in a / NULLIF(b, 0)."),
    "25006": (
        errors.QueryInvalid,
        "Sources are read in a read-only transaction: remove what writes. A destination must not be a standby server.",
    ),
    # time limits; the next attempt may be faster
    "25P03": (errors.StatementStopped, _TIME_LIMIT),
    "25P04": (errors.StatementStopped, _TIME_LIMIT),
    "57P05": (errors.StatementStopped, _TIME_LIMIT),
    "57014": (
        errors.StatementStopped,
        "The statement was cancelled by statement_timeout or by an administrator; see the detail.",
    ),
    "28P01": (errors.AuthenticationFailed, "Check the connection's username and the secret behind its password."),
    "28000": (errors.AuthenticationFailed, "Check the connection's username, and pg_hba.conf on the server."),
    "3D000": (errors.DatabaseMissing, "Check the database name in the connection's URL."),
    "42501": (errors.PermissionDenied, "Grant the connection's user the privilege named in the message."),
    "42P01": (errors.TableMissing, "Check schema and table, and that the connection's user may see them."),
    "3F000": (errors.TableMissing, "Check the schema's name."),
    "42703": (errors.ColumnMissing, "Check the column's spelling; quoted names keep upper and lower case."),
    "55P03": (errors.LockTimeout, "Another session holds a lock on the table; the run is retried."),
    "40P01": (errors.SerializationFailed, "Two sessions waited for each other (deadlock); run it again."),
    "53100": (errors.DiskFull, "Free space on the server's disk, then run again."),
    # such as temp_file_limit: a retry would exceed it again
    "53400": (
        errors.ConfigurationInvalid,
        "Raise the server's limit that is named in the message, or make the query smaller.",
    ),
    "57P04": (errors.DatabaseMissing, "The database was dropped; check its name in the connection's URL."),
    "HV00N": (errors.ConnectionFailed, "A server behind a foreign table cannot be reached; try again later."),
}
_BY_CLASS: dict[str, _Translation] = {
    "08": (errors.ConnectionLost, "The network or the server failed; run it again."),
    "22": (errors.InvalidValue, "Change the destination column's type, or correct the value in the source query."),
    "23": (errors.InvalidValue, "The rows violate a constraint of the destination table."),
    "28": (errors.AuthenticationFailed, "Check the connection's username, and pg_hba.conf on the server."),
    "40": (errors.SerializationFailed, "The transaction conflicted with another one; run it again."),
    "42": (errors.QueryInvalid, "Correct the SQL; its text is on the run."),
    "44": (errors.InvalidValue, "The rows violate the condition of the view to which they are written."),
    "53": (errors.ConnectionFailed, "The server has no free connections or memory; try again later."),
    "57": (errors.ConnectionLost, "The server was stopped or restarted; run it again."),
    "58": (errors.ConfigurationError, _SERVER_FAULT),
    "72": (errors.SerializationFailed, "The snapshot is too old for the server; run it again."),
    "F0": (errors.ConfigurationError, _SERVER_FAULT),
    "P0": (errors.QueryInvalid, "A function or trigger of the database raised this error; see the message."),
    "XX": (errors.ConfigurationError, _SERVER_FAULT),
}
_OTHERWISE: _Translation = (errors.QueryInvalid, "Correct the SQL; its text is on the run.")
_CONNECTION_LOST: _Translation = (errors.ConnectionLost, "The network or the server failed; run it again.")


def of_state(state: str, message: str, *, name: str, more: Iterable[str | None] = ()) -> errors.PipekitError:
    """Return Pipekit's error for a SQLSTATE and message of the server, reported by any library.

    ``more`` are the server's detail, hint and context.
    """
    error_class, hint = _BY_STATE.get(state) or _BY_CLASS.get(state[:2]) or _OTHERWISE
    detail = "\n".join([*(part for part in more if part), f"SQLSTATE {state}"])
    return error_class(f"{_prefix(name)} {message}", hint=hint, detail=detail)


def connection_lost(message: str, *, name: str) -> errors.PipekitError:
    """Return Pipekit's error for a session that ended without an error from the server."""
    error_class, hint = _CONNECTION_LOST
    return error_class(f"{_prefix(name)} {message}", hint=hint)


_FOREIGN_KEY = "23503"


def translate(error: psycopg.Error, *, name: str) -> errors.PipekitError:
    """Return Pipekit's error for a failed statement of the connection ``name``."""
    diagnostics = error.diag
    text = diagnostics.message_primary or str(error).strip() or type(error).__name__
    more = (diagnostics.message_detail, diagnostics.message_hint, diagnostics.context)
    if error.sqlstate:
        translated = of_state(error.sqlstate, text, name=name, more=more)
        if error.sqlstate == _FOREIGN_KEY and diagnostics.table_name:
            table, constraint = f"{diagnostics.schema_name}.{diagnostics.table_name}", diagnostics.constraint_name
            translated.hint = f"Rows of {table} would reference rows that do not exist (foreign key {constraint})."
        return translated
    if isinstance(error, psycopg.OperationalError):
        return connection_lost(text, name=name)
    error_class, hint = _OTHERWISE
    return error_class(f"{_prefix(name)} {text}", hint=hint)


def translate_connect(error: psycopg.OperationalError, *, name: str, address: str) -> errors.PipekitError:
    """Return Pipekit's error for a failed connection attempt to ``address``, by its message.

    libpq reports no SQLSTATE for most of these errors.
    """
    text = str(error).strip()
    low = text.lower()
    if "no password supplied" in low:
        return errors.AuthenticationFailed(
            f"{_prefix(name)} The server at {address} asks for a password, and the connection has none.",
            hint="Enter a reference such as $DW_PW as its password, and run: manage.py secrets set DW_PW. PGPASSWORD"
            " and ~/.pgpass are not used for connections.",
            detail=text,
        )
    if "password authentication failed" in low or "authentication failed" in low:
        return errors.AuthenticationFailed(
            f"{_prefix(name)} The server at {address} refused the username or password.",
            hint="Check the connection's username and the secret of its password (manage.py secrets check).",
            detail=text,
        )
    if "requested a cleartext password" in low:
        return errors.AuthenticationFailed(
            f"{_prefix(name)} The server at {address} asks for the password in clear text over a connection without"
            " TLS; it was not sent.",
            hint="Enable TLS on the server (and require it with sslmode=verify-full in the URL), or let it use"
            " scram-sha-256. The option allow_cleartext_password allows it without TLS.",
            detail=text,
        )
    if missing := _MISSING.search(text):
        what, which = missing.groups()
        if what == "database":
            return errors.DatabaseMissing(
                f"{_prefix(name)} The server at {address} has no database “{which}”.",
                hint="Correct the database in the connection's URL, or create it (createdb).",
                detail=text,
            )
        return errors.AuthenticationFailed(
            f"{_prefix(name)} The server at {address} has no user “{which}”.",
            hint="Correct the connection's username, or create the user (createuser).",
            detail=text,
        )
    if "pg_hba.conf" in low:
        return errors.AuthenticationFailed(
            f"{_prefix(name)} The server at {address} does not accept this user from this machine.",
            hint="Its pg_hba.conf has to allow the connection; ask its administrator.",
            detail=text,
        )
    return errors.ConnectionFailed(
        f"{_prefix(name)} No connection to {address}: {_reason(low)}.", hint=_hint(low), detail=text
    )


def _prefix(name: str) -> str:
    return f"{name}:" if name else "PostgreSQL:"


def _reason(low: str) -> str:
    if "name or service not known" in low or "could not translate host name" in low or "failed to resolve" in low:
        return "the host name is unknown"
    if "connection refused" in low:
        return "nothing listens on that port"
    if "no such file or directory" in low:
        return "there is no socket there"
    if "does not support ssl" in low:
        return "the server does not support TLS, which the URL requires"
    if "certificate" in low:
        return "the server's certificate is not accepted"
    if "invalid response" in low or "unexpected response" in low:
        return "it is not a PostgreSQL server"
    if "server closed the connection" in low or "connection reset" in low:
        return "the connection was closed immediately"
    return "timed out" if "timeout" in low or "timed out" in low else "it could not be reached"


def _hint(low: str) -> str:
    if "connection refused" in low or "no such file" in low:
        return "Check that the server is running, and host and port of the connection's URL."
    if "does not support ssl" in low:
        return "Enable TLS on the server, or remove sslmode from the connection's URL."
    if "certificate" in low:
        return "Set sslrootcert in the URL to the authority that signed it, and use the host name in the certificate."
    if "closed the connection" in low or "connection reset" in low:
        return "Check that the port is PostgreSQL's. A proxy, a connection limit or a crash also closes connections."
    return "Check host and port of the connection's URL, and that they are reachable from this machine."
