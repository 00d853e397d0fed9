"""What connections must not reach: Pipekit's own metadata, secrets, logs and programs. Knows no Django.

A process says once what that is (`configure`); `ConnectionParameters` carry it to whoever connects, jrunner included.
Where nobody said it, no connection can be made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from connections.sdk.errors import Protected

# tables that stand together only in Pipekit's metadata, or in a copy of it
METADATA_TABLES = ("auth_user", "connection", "django_migrations", "module", "run_log")
# in the data directory, for a jrunner that is called by hand
FILE_NAME = "protected.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDatabase:
    """One database of a PostgreSQL server, by what does not depend on how it is reached."""

    system_identifier: str
    oid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Paths are absolute. ``files`` stand for what SQLite puts beside them, too; ``folders`` for all they hold.

    With ``file_roots`` a connection's file must lie in one of them. ``databases`` are the metadata's, when it is in
    PostgreSQL. Embedded servers are made only inside ``data_dir``.
    """

    data_dir: str = ""
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    file_roots: tuple[str, ...] = ()
    databases: tuple[ServerDatabase, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Protection:
        """Raises KeyError or TypeError when something is missing or of another shape: nothing is taken as empty."""
        return cls(
            data_dir=str(data["data_dir"]),
            files=tuple(map(str, data["files"])),
            folders=tuple(map(str, data["folders"])),
            file_roots=tuple(map(str, data["file_roots"])),
            databases=tuple(ServerDatabase(**database) for database in data["databases"]),
        )


_current: Callable[[], Protection] | None = None


def configure(protection: Protection | Callable[[], Protection]) -> None:
    """Set what this process protects; a callable is asked each time."""
    global _current
    _current = (lambda: protection) if isinstance(protection, Protection) else protection


def current() -> Protection:
    """Return what this process protects. Raises Protected when nobody has said what that is."""
    if _current is None:
        raise Protected(
            "This process was not told which files and databases are Pipekit's own, so it makes no connection.",
            hint="Please report this.",
        )
    return _current()


def refused_database(name: str) -> Protected:
    """Return the error for a connection that leads to Pipekit's metadata."""
    return Protected(
        f"{name or 'The connection'}: The database holds Pipekit's own metadata, which no connection may use.",
        hint="Name another database; `manage.py exportconfig` and `manage.py runs --json` give what Pipekit knows.",
    )
