"""The exceptions of Pipekit, as one tree. The branch of an error tells what can be done about it.

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

    def as_dict(self) -> dict[str, str]:
        """Return the JSON form, which is stable: code, message, hint, detail."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "detail": self.detail,
        }


class ConfigurationError(PipekitError):
    code = "configuration"


class ConfigurationInvalid(ConfigurationError):
    code = "configuration_invalid"


class SecretMissing(ConfigurationError):
    code = "secret_missing"


class UrlInvalid(ConfigurationError):
    code = "url_invalid"


class DriverMissing(ConfigurationError):
    code = "driver_missing"


class NotSupported(ConfigurationError):
    code = "not_supported"


class AuthenticationFailed(ConfigurationError):
    code = "authentication_failed"


class PermissionDenied(ConfigurationError):
    code = "permission_denied"


class Protected(ConfigurationError):
    """The connection leads to files or a database of Pipekit itself: its metadata, secrets, logs or programs."""

    code = "protected"


class DatabaseMissing(ConfigurationError):
    code = "database_missing"


class TokenUnknown(ConfigurationError):
    code = "token_unknown"


class ColumnUnmapped(ConfigurationError):
    code = "column_unmapped"


class ColumnMissing(ConfigurationError):
    code = "column_missing"


class TableMissing(ConfigurationError):
    code = "table_missing"


class QueryInvalid(ConfigurationError):
    code = "query_invalid"


class TransientError(PipekitError):
    code = "transient"
    retryable = True


class ConnectionFailed(TransientError):
    code = "connection_failed"


class ConnectionLost(TransientError):
    code = "connection_lost"


class NoProgress(ConnectionLost):
    """The connection is open, but was idle for longer than the option ``no_progress_timeout``."""

    code = "no_progress"


class LockTimeout(TransientError):
    code = "lock_timeout"


class StatementStopped(TransientError):
    """The server cancelled a statement because of a time limit or an administrator's request."""

    code = "statement_stopped"


class SerializationFailed(TransientError):
    code = "serialization_failed"


class DataError(PipekitError):
    code = "data"


class DuplicateKeys(DataError):
    code = "duplicate_keys"


class NullKeys(DataError):
    code = "null_keys"


class InvalidValue(DataError):
    code = "value_misfit"


class CountMismatch(DataError):
    code = "count_mismatch"


class DiskFull(DataError):
    code = "disk_full"


class Refused(PipekitError):
    code = "safety_limit"


class AlreadyRunning(PipekitError):
    code = "already_running"


class Cancelled(PipekitError):
    code = "cancelled"


class Lost(PipekitError):
    code = "lost"
    retryable = True


class Overtaken(Lost):
    """A later run of the module has claimed its staging table: this run must end and is not retried."""

    code = "overtaken"
    retryable = False


class ExternalFailed(PipekitError):
    code = "external_failed"


class InternalError(PipekitError):
    code = "internal"


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
