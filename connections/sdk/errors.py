"""What can go wrong, one tree; the branch says what can be done about it.

    PipekitError
    ├── ConfigurationError      fix the configuration, then run again
    │   ├── SecretMissing  UrlInvalid  DriverMissing  NotSupported  ConfigurationInvalid
    │   ├── AuthenticationFailed  PermissionDenied  Protected
    │   ├── TokenUnknown  ColumnUnmapped  ColumnMissing  TableMissing  DatabaseMissing
    │   └── QueryInvalid
    ├── TransientError          may pass by itself; may be tried again
    │   ├── ConnectionFailed  ConnectionLost (NoProgress)
    │   └── LockTimeout  SerializationFailed  StatementStopped
    ├── DataError               fix the data (or say how to treat it)
    │   └── DuplicateKeys  NullKeys  ValueMisfit  CountMismatch  DiskFull
    ├── Refused                 a safety limit stopped the run; `--force` overrides it
    ├── AlreadyRunning  Cancelled  Lost (Overtaken)  ExternalFailed
    └── InternalError           our bug

Every error carries what happened (`message`), what to do (`hint`) and the system's own words
(`detail`). `code` is a stable word that scripts compare with.
"""

from __future__ import annotations


class PipekitError(Exception):
    """Base of everything Pipekit raises on purpose."""

    code = "internal"
    retryable = False

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    def as_dict(self) -> dict[str, str]:
        """Return the promised JSON form: code, message, hint, detail."""
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
    """The connection leads to what is Pipekit's own: its metadata, secrets, logs or programs."""

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
    """Nobody hung up, but nothing came any more for longer than is borne."""

    code = "no_progress"


class LockTimeout(TransientError):
    code = "lock_timeout"


class StatementStopped(TransientError):
    """The server ended a statement: its own time limit, or its administrator."""

    code = "statement_stopped"


class SerializationFailed(TransientError):
    code = "serialization_failed"


class DataError(PipekitError):
    code = "data"


class DuplicateKeys(DataError):
    code = "duplicate_keys"


class NullKeys(DataError):
    code = "null_keys"


class ValueMisfit(DataError):
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
    """A later run has the module's staging: this one is to end, and never to try again."""

    code = "overtaken"
    retryable = False


class ExternalFailed(PipekitError):
    code = "external_failed"


class InternalError(PipekitError):
    code = "internal"


def _tree(base: type[PipekitError]) -> dict[str, type[PipekitError]]:
    found = {base.code: base}
    for child in base.__subclasses__():
        found = {**_tree(child), **found}
    return found


def from_dict(data: dict[str, str]) -> PipekitError:
    """Rebuild an error that another process reported (see `as_dict`); unknown codes become InternalError."""
    kind = _tree(PipekitError).get(data.get("code", ""), InternalError)
    if kind is PipekitError:
        kind = InternalError
    return kind(data.get("message", ""), hint=data.get("hint", ""), detail=data.get("detail", ""))
