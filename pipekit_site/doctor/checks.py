"""The checks of `doctor`, in order. Each is a function that returns a message, or raises a PipekitError with a hint."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from django.db import Error

from connections.models import Connection
from connections.sdk.errors import PipekitError
from connections.secrets.redaction import redactor
from pipekit_site.doctor import installation, machine, notifications, schedules
from pipekit_site.metadata import errors

CheckFunction = Callable[[], str]

# (name in the output, function)
CHECKS: tuple[tuple[str, CheckFunction], ...] = (
    ("python", machine.python),
    ("dependencies", machine.dependencies),
    ("compiled modules", machine.compiled_modules),
    ("clock", machine.clock),
    ("configuration", installation.configuration),
    ("data directory", installation.data_directory),
    ("metadata database", installation.metadata_database),
    ("migrations", installation.migrations),
    ("settings", installation.stored_settings),
    ("secrets file", installation.secrets_file),
    ("secrets", installation.secrets),
    ("drivers", installation.drivers),
    ("embedded postgresql", installation.local_servers),
    ("paths of connections", installation.connection_paths),
    ("jrunner", installation.jrunner),
    ("schedules", schedules.schedules),
    ("notifications", notifications.notifications),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of a check; its fields are the documented JSON keys."""

    name: str
    ok: bool
    message: str
    hint: str = ""

    def as_text(self) -> str:
        """Return a line with the result, and a second one with the hint if there is one."""
        hint = f"\n  → {self.hint}" if self.hint else ""
        return f"{'✔' if self.ok else '✘'} {self.name}: {self.message}{hint}"


def checks_as_json(checks: Sequence[Check]) -> str:
    """Return the results as the text of one JSON object."""
    result = {"ok": all(check.ok for check in checks), "checks": [asdict(check) for check in checks]}
    return json.dumps(result, ensure_ascii=False, indent=2)


def run_all_checks(*, connections: bool = False) -> Iterator[Check]:
    """Run all checks and yield their results one by one; with ``connections``, test each connection as well."""
    yield from run_checks(CHECKS)
    if connections:
        yield from run_checks(_connections())


def run_checks(checks: Iterable[tuple[str, CheckFunction]]) -> Iterator[Check]:
    """Run the given checks and yield their results one by one; that the metadata cannot be used is explained once."""
    is_explained = False
    for name, function in checks:
        try:
            yield Check(name=name, ok=True, message=redactor().text(function()))
            continue
        except PipekitError as error:
            message, hint = error.message, error.hint or error.detail
            is_explained = is_explained or isinstance(error, errors.MetadataUnavailable)
        except Error as error:
            unavailable = errors.from_database_error(error)
            message, hint = f"{unavailable.message} {unavailable.detail}", unavailable.hint
            if is_explained:
                message, hint = "Not checked, because the metadata database cannot be used.", ""
            is_explained = is_explained or errors.is_outage(error)
        except Exception as error:  # the other checks have to run nevertheless
            message, hint = f"The check itself failed: {type(error).__name__}: {error}.", "Please report this as a bug."
        yield Check(name=name, ok=False, message=redactor().text(message), hint=redactor().text(hint))


def _connections() -> Iterator[tuple[str, CheckFunction]]:
    try:
        rows = list(Connection.objects.with_driver())
    except Error:
        return
    for row in rows:
        yield f"connection {row.name}", partial(installation.connection, row)
