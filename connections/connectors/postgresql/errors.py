"""The server's errors as Pipekit's, by SQLSTATE whatever library reports them; at connect time by what libpq says.

Retryable is only what can pass by itself: lost connections, locks, limits of time.

Source of the codes: PostgreSQL documentation, appendix "PostgreSQL Error Codes".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import psycopg

from connections.sdk import errors

# as the server says it of what a connection asks for
_MISSING = re.compile(r'(database|role) "(.*?)" does not exist')
_Kind = tuple[type[errors.PipekitError], str]
_TIME_LIMIT = "A time limit of the server, the role or the database ended it; raise the one that the message names."
_SERVERS_OWN = "The server itself is in trouble; see its log, or ask its administrator."
_BY_STATE: dict[str, _Kind] = {
    "22012": (errors.ValueMisfit, "Guard the division in the SQL, as in a / NULLIF(b, 0)."),
    "25006": (
        errors.QueryInvalid,
        "Sources are read in a read-only transaction: take out what writes. A destination must not be a standby.",
    ),
    # limits of time; each may be kept the next time
    "25P03": (errors.StatementStopped, _TIME_LIMIT),
    "25P04": (errors.StatementStopped, _TIME_LIMIT),
    "57P05": (errors.StatementStopped, _TIME_LIMIT),
    "57014": (errors.StatementStopped, "Its statement_timeout ended it, or somebody there; what for is in the detail."),
    "28P01": (errors.AuthenticationFailed, "Check the connection's username and the secret behind its password."),
    "28000": (errors.AuthenticationFailed, "Check the connection's username, and pg_hba.conf on the server."),
    "3D000": (errors.DatabaseMissing, "Check the database name in the connection's URL."),
    "42501": (errors.PermissionDenied, "Grant the connection's user what the message names."),
    "42P01": (errors.TableMissing, "Check schema and table, and that the connection's user may see them."),
    "3F000": (errors.TableMissing, "Check the schema's name."),
    "42703": (errors.ColumnMissing, "Check the column's spelling; quoted names keep upper and lower case."),
    "55P03": (errors.LockTimeout, "Another session holds the table; it is tried again, or see who does."),
    "40P01": (errors.SerializationFailed, "Two sessions waited for each other; run it again."),
    "53100": (errors.DiskFull, "Free space on the server's disk, then run again."),
    # such as temp_file_limit: it will be met again
    "53400": (
        errors.ConfigurationInvalid,
        "Raise the server's limit that the message names, or make the query smaller.",
    ),
    "57P04": (errors.DatabaseMissing, "The database was dropped; check its name in the connection's URL."),
    "HV00N": (errors.ConnectionFailed, "A server behind a foreign table cannot be reached; try again later."),
}
_BY_CLASS: dict[str, _Kind] = {
    "08": (errors.ConnectionLost, "The network or the server went away; run it again."),
    "22": (errors.ValueMisfit, "Change the destination column's type, or clean the value in the source query."),
    "23": (errors.ValueMisfit, "The rows break a constraint of the destination table."),
    "28": (errors.AuthenticationFailed, "Check the connection's username, and pg_hba.conf on the server."),
    "40": (errors.SerializationFailed, "Another transaction came first; run it again."),
    "42": (errors.QueryInvalid, "Correct the SQL; its text is on the run."),
    "44": (errors.ValueMisfit, "The rows break the condition of the view that they are written into."),
    "53": (errors.ConnectionFailed, "The server is out of connections or memory; try again later."),
    "57": (errors.ConnectionLost, "The server was stopped or restarted; run it again."),
    "58": (errors.ConfigurationError, _SERVERS_OWN),
    "72": (errors.SerializationFailed, "The snapshot became too old for the server; run it again."),
    "F0": (errors.ConfigurationError, _SERVERS_OWN),
    "P0": (errors.QueryInvalid, "A function or trigger of the database raised it; its message says why."),
    "XX": (errors.ConfigurationError, _SERVERS_OWN),
}
_OTHERWISE: _Kind = (errors.QueryInvalid, "Correct the SQL; its text is on the run.")
_GONE: _Kind = (errors.ConnectionLost, "The network or the server went away; run it again.")


def of_state(state: str, message: str, *, name: str, more: Iterable[str | None] = ()) -> errors.PipekitError:
    """Return Pipekit's error for one that the server reported, whichever library handed it over.

    ``more`` are the server's detail, hint and context.
    """
    kind, hint = _BY_STATE.get(state) or _BY_CLASS.get(state[:2]) or _OTHERWISE
    detail = "\n".join([*(part for part in more if part), f"SQLSTATE {state}"])
    return kind(f"{_named(name)} {message}", hint=hint, detail=detail)


def connection_lost(message: str, *, name: str) -> errors.PipekitError:
    """Return Pipekit's error for a session that ended without a word of the server's."""
    kind, hint = _GONE
    return kind(f"{_named(name)} {message}", hint=hint)


_FOREIGN_KEY = "23503"


def translate(error: psycopg.Error, *, name: str) -> errors.PipekitError:
    """Return Pipekit's error for a failed statement of the connection ``name``."""
    diagnosis = error.diag
    text = diagnosis.message_primary or str(error).strip() or type(error).__name__
    more = (diagnosis.message_detail, diagnosis.message_hint, diagnosis.context)
    if error.sqlstate:
        found = of_state(error.sqlstate, text, name=name, more=more)
        if error.sqlstate == _FOREIGN_KEY and diagnosis.table_name:
            table, constraint = f"{diagnosis.schema_name}.{diagnosis.table_name}", diagnosis.constraint_name
            found.hint = f"Rows of {table} would reference rows that are not there (foreign key {constraint})."
        return found
    if isinstance(error, psycopg.OperationalError):
        return connection_lost(text, name=name)
    kind, hint = _OTHERWISE
    return kind(f"{_named(name)} {text}", hint=hint)


def translate_connect(error: psycopg.OperationalError, *, name: str, place: str) -> errors.PipekitError:
    """Return Pipekit's error for a connection that could not be made; libpq gives no SQLSTATE for most."""
    text = str(error).strip()
    low = text.lower()
    if "no password supplied" in low:
        return errors.AuthenticationFailed(
            f"{_named(name)} The server at {place} asks for a password, and the connection has none.",
            hint="Enter a reference such as $DW_PW as its password, and: manage.py secrets set DW_PW. PGPASSWORD and"
            " ~/.pgpass are not used for connections.",
            detail=text,
        )
    if "password authentication failed" in low or "authentication failed" in low:
        return errors.AuthenticationFailed(
            f"{_named(name)} The server at {place} refused the username or password.",
            hint="Check the connection's username and the secret of its password (manage.py secrets check).",
            detail=text,
        )
    if "requested a cleartext password" in low:
        return errors.AuthenticationFailed(
            f"{_named(name)} The server at {place} asks for the password in clear text over a connection without TLS;"
            " it was not sent.",
            hint="Switch TLS on at the server (sslmode=verify-full in the URL makes sure of it), or let it use"
            " scram-sha-256. The option allow_cleartext_password sends it all the same.",
            detail=text,
        )
    if missing := _MISSING.search(text):
        what, which = missing.groups()
        if what == "database":
            return errors.DatabaseMissing(
                f"{_named(name)} The server at {place} has no database “{which}”.",
                hint="Correct the database in the connection's URL, or create it (createdb).",
                detail=text,
            )
        return errors.AuthenticationFailed(
            f"{_named(name)} The server at {place} has no user “{which}”.",
            hint="Correct the connection's username, or create the user (createuser).",
            detail=text,
        )
    if "pg_hba.conf" in low:
        return errors.AuthenticationFailed(
            f"{_named(name)} The server at {place} does not let this user in from here.",
            hint="Its pg_hba.conf decides; ask its administrator.",
            detail=text,
        )
    return errors.ConnectionFailed(
        f"{_named(name)} No connection to {place}: {_reason(low)}.", hint=_advice(low), detail=text
    )


def _named(name: str) -> str:
    return f"{name}:" if name else "PostgreSQL:"


def _reason(low: str) -> str:
    if "name or service not known" in low or "could not translate host name" in low or "failed to resolve" in low:
        return "the host name is unknown"
    if "connection refused" in low:
        return "nothing listens on that port"
    if "no such file or directory" in low:
        return "there is no socket there"
    if "does not support ssl" in low:
        return "it speaks no TLS, which the URL asks for"
    if "certificate" in low:
        return "its certificate is not accepted"
    if "invalid response" in low or "unexpected response" in low:
        return "what listens there is no PostgreSQL"
    if "server closed the connection" in low or "connection reset" in low:
        return "the connection was closed at once"
    return "timed out" if "timeout" in low or "timed out" in low else "it could not be reached"


def _advice(low: str) -> str:
    if "connection refused" in low or "no such file" in low:
        return "Is the server running, and are host and port right?"
    if "does not support ssl" in low:
        return "Switch TLS on at the server, or take sslmode out of the connection's URL."
    if "certificate" in low:
        return "Name the authority that signed it as sslrootcert in the URL, and the host as the certificate has it."
    if "closed the connection" in low or "connection reset" in low:
        return "Is this PostgreSQL's port? A proxy, a limit or a crash on the server ends connections so too."
    return "Check host and port of the connection's URL, and that this machine may reach them."
