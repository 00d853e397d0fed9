"""What `doctor` looks at, in order: small checks, each of which says what it found or raises what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from django.db import Error

from connections.models import Connection
from connections.sdk.errors import PipekitError
from connections.secrets.redaction import redactor
from pipekit_site.doctor import installation, machine, notifications, schedules
from pipekit_site.metadata import errors

Examine = Callable[[], str]

# name in the answer -> the check; a new one is a function and a line here
CHECKS: tuple[tuple[str, Examine], ...] = (
    ("python", machine.python),
    ("dependencies", machine.dependencies),
    ("clock", machine.clock),
    ("configuration", installation.configuration),
    ("data directory", installation.data_directory),
    ("metadata database", installation.metadata_database),
    ("migrations", installation.migrations),
    ("secrets file", installation.secrets_file),
    ("secrets", installation.secrets),
    ("drivers", installation.drivers),
    ("embedded postgresql", installation.embedded_postgresql),
    ("jrunner", installation.jrunner),
    ("schedules", schedules.schedules),
    ("notifications", notifications.notifications),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The promised JSON form of one answer."""

    name: str
    ok: bool
    message: str
    hint: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def examine(*, connections: bool = False) -> Iterator[Check]:
    """Yield every check's answer as it comes; ``connections`` also connects to every system, which may take a while."""
    yield from examine_each(CHECKS)
    if connections:
        yield from examine_each(_connections())


def examine_each(checks: Iterable[tuple[str, Examine]]) -> Iterator[Check]:
    return (_examined(name, check) for name, check in checks)


def _examined(name: str, check: Examine) -> Check:
    try:
        return Check(name=name, ok=True, message=redactor().text(check()))
    except PipekitError as error:
        said, hint = error.message, error.hint or error.detail
    except Error as error:
        trouble = errors.explained(error)
        said, hint = f"{trouble.message} {trouble.detail}", trouble.hint
    except Exception as error:  # a doctor that falls over helps nobody
        said, hint = f"The check itself failed: {type(error).__name__}: {error}.", "Please report this as a bug."
    return Check(name=name, ok=False, message=redactor().text(said), hint=redactor().text(hint))


def _connections() -> Iterator[tuple[str, Examine]]:
    try:
        rows = list(Connection.objects.with_driver())
    except Error:
        return
    for row in rows:
        yield f"connection {row.name}", partial(installation.connection, row)
