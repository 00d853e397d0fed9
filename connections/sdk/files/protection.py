"""The files and databases that connections must not reach: Pipekit's metadata, secrets, logs and programs.

Each process calls `configure` once; `ConnectionParameters` pass the value on to drivers and to jrunner. In a process
that did not call it no connection can be opened. Independent of Django.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from connections.sdk.errors import Protected
from connections.sdk.records import dataclass

# tables that exist together only in Pipekit's metadata, or in a copy of it
METADATA_TABLES = ("auth_user", "connection", "django_migrations", "module", "run_log")
# file in the data directory, read by a jrunner that is started by hand
FILE_NAME = "protected.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDatabase:
    """The identity of a database of a PostgreSQL server, independent of the host name and port used to reach it."""

    system_identifier: str
    oid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What connections must not reach. All paths are absolute.

    ``files`` are protected with the files that SQLite creates beside them, ``folders`` with everything in them.
    With ``file_roots`` a connection's file must lie in one of these directories. ``databases`` are those of the
    metadata, if in PostgreSQL. Embedded servers are created only inside ``data_dir``.
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
        """Return the value that `as_json` represents.

        Raises KeyError or TypeError when a key is missing or has another type; nothing defaults to empty.
        """
        return cls(
            data_dir=str(data["data_dir"]),
            files=tuple(map(str, data["files"])),
            folders=tuple(map(str, data["folders"])),
            file_roots=tuple(map(str, data["file_roots"])),
            databases=tuple(ServerDatabase(**database) for database in data["databases"]),
        )


_current: Callable[[], Protection] | None = None


def configure(protection: Protection | Callable[[], Protection]) -> None:
    """Set what this process protects; a callable is evaluated at each use."""
    global _current
    _current = (lambda: protection) if isinstance(protection, Protection) else protection


def current() -> Protection:
    """Return what this process protects. Raises Protected when `configure` was not called."""
    if _current is None:
        raise Protected(
            "The files and databases of Pipekit itself are not configured in this process, so it opens no connection.",
            hint="This is a bug in Pipekit; please report it.",
        )
    return _current()


def refused_database(name: str) -> Protected:
    """Return the error for a connection that leads to Pipekit's metadata."""
    return Protected(
        f"{name or 'The connection'}: The database holds Pipekit's own metadata, which no connection may use.",
        hint="Choose another database. To read the metadata, use `manage.py exportconfig` and `manage.py runs --json`.",
    )
