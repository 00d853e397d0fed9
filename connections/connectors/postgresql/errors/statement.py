"""Translates errors of statements, reported by the server through psycopg, asyncpg or ADBC, by their SQLSTATE.

Only errors that can pass by themselves are retryable: lost connections, locks and time limits.

Source of the codes: PostgreSQL documentation, appendix "PostgreSQL Error Codes".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connections.sdk import errors
from connections.sdk.records import dataclass
from connections.sdk.schema import TableName
from connections.sdk.sql.foreign_keys import ForeignKeyViolated

if TYPE_CHECKING:
    import psycopg

# class and hint
_Translation = tuple[type[errors.PipekitError], str]
_TIME_LIMIT = "A time limit of the server, the role or the database was exceeded; raise the one named in the message."
_CONNECTION_LOST = "The network or the server failed; run it again."
_SERVER_FAULT = "The server has an internal problem; see its log, or ask its administrator."
_BY_STATE: dict[str, _Translation] = {
    "22012": (errors.InvalidValue, "Guard the division in the SQL, as in a / NULLIF(b, 0)."),
    # ON DELETE RESTRICT, since PostgreSQL 18
    "23001": (ForeignKeyViolated, "The rows violate a constraint of the destination table."),
    "23503": (ForeignKeyViolated, "The rows violate a constraint of the destination table."),
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
    "3F000": (
        errors.TableMissing,
        "Check the schema's name, also in the connection: currentSchema in its URL, or search_path.",
    ),
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
    "08": (errors.ConnectionLost, _CONNECTION_LOST),
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
# how the message of a row to be deleted begins, on servers with English messages
_REFERENCED = "update or delete on table"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """What the server reported about an error. Fields that it did not send are empty."""

    state: str
    message: str
    # its detail, hint and context
    more: tuple[str, ...] = ()
    # the constraint that a row violates, and the table that has it
    table: TableName | None = None
    constraint: str = ""


def from_sqlstate(state: str, message: str, *, name: str, more: tuple[str, ...] = ()) -> errors.PipekitError:
    """Return Pipekit's error for a SQLSTATE and a message of the server; ``more`` is appended to the detail."""
    error_class, hint = _BY_STATE.get(state) or _BY_CLASS.get(state[:2]) or _OTHERWISE
    return error_class(f"{label(name)} {message}", hint=hint, detail="\n".join([*more, f"SQLSTATE {state}"]))


def from_server(error: BaseException, *, name: str) -> errors.PipekitError | None:
    """Return Pipekit's error for an exception of psycopg, asyncpg or ADBC; None if it has no SQLSTATE."""
    report = _reported(error)
    if report is None:
        return None
    translated = from_sqlstate(report.state, report.message, name=name, more=report.more)
    if isinstance(translated, ForeignKeyViolated):
        translated.constraint, translated.table = report.constraint, report.table
        translated.is_referencing = not report.message.startswith(_REFERENCED)
        if report.table:
            translated.hint = (
                f"Rows of {report.table} would reference rows that do not exist (foreign key {report.constraint})."
            )
    return translated


def from_psycopg(error: psycopg.Error, *, name: str) -> errors.PipekitError:
    """Return Pipekit's error for a failed statement of the connection ``name``."""
    if translated := from_server(error, name=name):
        return translated
    # imported late: it is loaded already if there is an error of it, and takes long where only asyncpg is used
    import psycopg

    text = str(error).strip() or type(error).__name__
    if isinstance(error, psycopg.OperationalError):
        return connection_lost(text, name=name)
    error_class, hint = _OTHERWISE
    return error_class(f"{label(name)} {text}", hint=hint)


def connection_lost(message: str, *, name: str, detail: str = "") -> errors.PipekitError:
    """Return Pipekit's error for a session that ended without an error from the server."""
    return errors.ConnectionLost(f"{label(name)} {message}", hint=_CONNECTION_LOST, detail=detail)


def label(name: str) -> str:
    """Return the beginning of a message: the name of the connection if it has one."""
    return f"{name or 'PostgreSQL'}:"


def _reported(error: BaseException) -> _Report | None:
    """Return the server's report from an exception of psycopg, asyncpg or ADBC; None if there is none."""
    state = getattr(error, "sqlstate", None)
    if not state:
        return None
    # of psycopg only
    if (fields := getattr(error, "diag", None)) is not None:
        return _Report(
            state=state,
            message=fields.message_primary or str(error).strip() or type(error).__name__,
            more=_present(fields.message_detail, fields.message_hint, fields.context),
            table=TableName(fields.schema_name or "", fields.table_name) if fields.table_name else None,
            constraint=fields.constraint_name or "",
        )
    # the protocol's fields, which ADBC passes on as pairs
    if (pairs := getattr(error, "details", None)) is not None:
        texts = {_decoded(key).removeprefix("PG_DIAG_"): _decoded(value) for key, value in pairs}
        more = _present(*(texts.get(key) for key in ("MESSAGE_DETAIL", "MESSAGE_HINT", "CONTEXT")))
        return _Report(state=state, message=texts.get("MESSAGE_PRIMARY") or str(error), more=more)
    more = _present(*(getattr(error, field, None) for field in ("detail", "hint", "context")))
    return _Report(state=state, message=str(error.args[0]) if error.args else str(error), more=more)


def _present(*texts: str | None) -> tuple[str, ...]:
    return tuple(text for text in texts if text)


def _decoded(text: Any) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
