"""Pipekit's exceptions, in one hierarchy by what can be done about them.

    PipekitError
    ├── ConfigurationError      fix the configuration, then run again
    │   ├── SecretMissing  UrlInvalid  DriverMissing  NotSupported  ConfigurationInvalid
    │   ├── AuthenticationFailed  PermissionDenied  Protected
    │   ├── TokenUnknown  ColumnUnmapped  ColumnMissing  TableMissing  DatabaseMissing
    │   └── QueryInvalid
    ├── TransientError          may pass by itself; can be retried
    │   ├── ConnectionFailed  ConnectionLost (NoProgress)
    │   └── LockTimeout  SerializationFailed  StatementStopped
    ├── DataError               fix the data, or configure how to treat it
    │   └── DuplicateKeys  NullKeys  InvalidValue  CountMismatch  DiskFull
    ├── Refused                 a safety limit stopped the run; `--force` overrides it
    ├── AlreadyRunning  Cancelled  Lost (Overtaken)  ExternalFailed
    └── InternalError           a bug in Pipekit

Every error has a `message` (what happened), a `hint` (what to do) and a `detail` (the text reported by the system).
`code` is stable: scripts may compare with it.
"""

from __future__ import annotations


class PipekitError(Exception):
    """Base class of the errors that Pipekit raises deliberately."""

    code = "internal"
    retryable = False

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    def reword(self, message: str) -> None:
        """Replace the message, also in the text of the exception."""
        self.message, self.args = message, (message,)

    def as_dict(self) -> dict[str, str]:
        """Return the JSON form, which is stable: code, message, hint, detail."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "detail": self.detail}


class ConfigurationError(PipekitError):
    """The configuration must be changed before the run can succeed."""

    code = "configuration"


class ConfigurationInvalid(ConfigurationError):
    """A setting, a manifest or a module is not valid."""

    code = "configuration_invalid"


class SecretMissing(ConfigurationError):
    """A secret to which the configuration refers does not exist."""

    code = "secret_missing"


class UrlInvalid(ConfigurationError):
    """The connection's URL cannot be parsed, or is not allowed for its kind."""

    code = "url_invalid"


class DriverMissing(ConfigurationError):
    """A driver or an external program is missing, or cannot be executed."""

    code = "driver_missing"


class NotSupported(ConfigurationError):
    """The system or its connector does not support the operation."""

    code = "not_supported"


class AuthenticationFailed(ConfigurationError):
    """The system refused the username or the password."""

    code = "authentication_failed"


class PermissionDenied(ConfigurationError):
    """The user lacks a privilege in the system, or for a file."""

    code = "permission_denied"


class Protected(ConfigurationError):
    """The connection leads to files or a database of Pipekit itself: its metadata, secrets, logs or programs."""

    code = "protected"


class DatabaseMissing(ConfigurationError):
    """The database or the file does not exist, or is not a database."""

    code = "database_missing"


class TokenUnknown(ConfigurationError):
    """The query contains a placeholder that does not exist."""

    code = "token_unknown"


class ColumnUnmapped(ConfigurationError):
    """A column of the query's result cannot be mapped to an expression of the source."""

    code = "column_unmapped"


class ColumnMissing(ConfigurationError):
    """A column does not exist in the system."""

    code = "column_missing"


class TableMissing(ConfigurationError):
    """A table or schema does not exist in the system."""

    code = "table_missing"


class QueryInvalid(ConfigurationError):
    """The system refused a query, or it is not a single query."""

    code = "query_invalid"


class TransientError(PipekitError):
    """The cause may pass by itself; a retry can succeed."""

    code = "transient"
    retryable = True


class ConnectionFailed(TransientError):
    """No connection to the system could be opened."""

    code = "connection_failed"


class ConnectionLost(TransientError):
    """An open connection was closed by the system or the network."""

    code = "connection_lost"


class NoProgress(ConnectionLost):
    """The connection is open, but was idle for longer than the option ``no_progress_timeout``."""

    code = "no_progress"


class LockTimeout(TransientError):
    """Another session held a lock for longer than the lock timeout."""

    code = "lock_timeout"


class StatementStopped(TransientError):
    """The server cancelled a statement because of a time limit or an administrator's request."""

    code = "statement_stopped"


class SerializationFailed(TransientError):
    """The system rolled back a transaction because of a deadlock or a conflict."""

    code = "serialization_failed"


class DataError(PipekitError):
    """Rows cannot be written as they are."""

    code = "data"


class DuplicateKeys(DataError):
    """Several rows have the same key."""

    code = "duplicate_keys"


class NullKeys(DataError):
    """A key is NULL."""

    code = "null_keys"


class InvalidValue(DataError):
    """A value cannot be stored in its column exactly, or violates a constraint."""

    code = "value_misfit"


class CountMismatch(DataError):
    """The destination counted another number of rows than the source delivered."""

    code = "count_mismatch"


class DiskFull(DataError):
    """The system has no free disk space."""

    code = "disk_full"


class Refused(PipekitError):
    """A safety limit prevented the change; the option ``--force`` overrides it."""

    code = "safety_limit"


class AlreadyRunning(PipekitError):
    """Another run of the module is active."""

    code = "already_running"


class Cancelled(PipekitError):
    """The run was cancelled by a user or a signal."""

    code = "cancelled"


class Lost(PipekitError):
    """The run or its jrunner ended without a result, or the record of the run was lost."""

    code = "lost"
    retryable = True


class Overtaken(Lost):
    """A later run of the module has claimed its staging table: this run must end and is not retried."""

    code = "overtaken"
    retryable = False


class ExternalFailed(PipekitError):
    """An external program or service failed."""

    code = "external_failed"


class InternalError(PipekitError):
    """A bug in Pipekit."""

    code = "internal"

    @classmethod
    def from_exception(cls, error: Exception, *, log: str) -> InternalError:
        """Return the error that reports an unexpected exception; ``log`` names the log that has its traceback."""
        text = f"Internal error in Pipekit: {type(error).__name__}: {error}"
        return cls(text, hint=f"{log} has the traceback; please report it.")


def _classes_by_code(base: type[PipekitError]) -> dict[str, type[PipekitError]]:
    classes = {base.code: base}
    for child in base.__subclasses__():
        # a subclass that inherits its code does not replace its base
        classes = {**_classes_by_code(child), **classes}
    return classes


def from_dict(data: dict[str, str]) -> PipekitError:
    """Return the error that another process reported by `as_dict`; an unknown code becomes InternalError."""
    error_class = _classes_by_code(PipekitError).get(data.get("code", ""), InternalError)
    if error_class is PipekitError:
        error_class = InternalError
    return error_class(data.get("message", ""), hint=data.get("hint", ""), detail=data.get("detail", ""))
