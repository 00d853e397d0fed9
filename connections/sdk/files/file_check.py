"""Checks that a connection's file is not one of Pipekit's own and lies within ``file_roots``.

Paths are compared with symbolic links resolved, and existing files also by device and inode, because a hard link or
another mount of the same directory has another path.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from connections.sdk.errors import Protected
from connections.sdk.files.protection import Protection

# suffixes of the files that SQLite and DuckDB create beside a database
_SIDECARS = ("-wal", "-shm", "-journal", ".wal")
# suffixes of files that Python would import in place of another module if they lay beside Pipekit's packages
_MODULES = (".py", ".pyc", ".so", ".pth")
# device and inode
Identity = tuple[int, int]


def check_file(path: str | Path, protection: Protection, *, name: str = "") -> None:
    """Raise Protected unless the connection ``name`` may use the file, which need not exist."""
    real = Path(os.path.realpath(path))
    label = name or "The connection"
    if protection.file_roots and not any(real.is_relative_to(_real(root)) for root in protection.file_roots):
        raise Protected(
            f"{label}: The file {path} lies outside the directories that connections may use.",
            hint=f"The setting file_roots in config.yaml allows {', '.join(protection.file_roots)}.",
        )
    if _is_protected(real, protection):
        raise Protected(
            f"{label}: The file {path} belongs to Pipekit itself, and no connection may use it.",
            hint="Choose another file; Pipekit's metadata, secrets, logs, backups and programs are protected.",
        )


def _is_protected(real: Path, protection: Protection) -> bool:
    parents = list(real.parents)
    folders = [_real(folder) for folder in protection.folders]
    if any(folder == real or folder in parents for folder in folders):
        return True
    if real.suffix in _MODULES and any(folder.parent == real.parent for folder in folders):
        return True
    identities = {identity for folder in folders if (identity := _identity(folder))}
    if any(_identity(parent) in identities for parent in [real, *parents]) or any(map(_is_cluster, parents)):
        return True
    return _is_protected_file(real, protection, folders)


def _is_protected_file(real: Path, protection: Protection, folders: list[Path]) -> bool:
    own = [_real(f"{file}{end}") for file in protection.files for end in ("", *_SIDECARS)]
    if real in own:
        return True
    identity = _identity(real)
    if identity is None:
        return False
    if identity in {_identity(file) for file in own}:
        return True
    # only a file with several hard links can have another path in a protected directory
    return real.is_file() and real.stat().st_nlink > 1 and identity in set(_identities(folders))


def _identities(folders: list[Path]) -> Iterator[Identity | None]:
    for folder in folders:
        for directory, _, names in os.walk(folder):
            yield from (_identity(Path(directory, name)) for name in names)


def _identity(path: Path) -> Identity | None:
    with suppress(OSError):
        status = path.stat()
        return status.st_dev, status.st_ino
    return None


def _is_cluster(directory: Path) -> bool:
    """Return whether it is the data directory of a PostgreSQL server, embedded or not."""
    with suppress(OSError):
        return (directory / "PG_VERSION").is_file() and (directory / "global" / "pg_control").is_file()
    return False


@cache
def _real(path: str) -> Path:
    """Return one of Pipekit's own paths with symbolic links resolved; they do not change while a process runs."""
    return Path(os.path.realpath(path))
