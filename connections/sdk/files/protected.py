"""Refuses files of connections that are Pipekit's own, whatever name leads to them, or lie outside ``file_roots``.

Names are compared after links are resolved, and what exists by device and inode: a hard link or another mount of the
same directory has another name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from connections.sdk.errors import Protected
from connections.sdk.files.protection import Protection

# what SQLite and DuckDB put beside a database
_SIDECARS = ("-wal", "-shm", "-journal", ".wal")
# what Python would load instead of a module of Pipekit's, or of its own, when it lies beside Pipekit's folders
_MODULES = (".py", ".pyc", ".so", ".pth")
Identity = tuple[int, int]


def check_file(path: str | Path, protection: Protection, *, name: str = "") -> None:
    """Raise Protected when no connection may use the file, which need not exist."""
    real = Path(os.path.realpath(path))
    who = name or "The connection"
    if protection.file_roots and not any(real.is_relative_to(_real(root)) for root in protection.file_roots):
        raise Protected(
            f"{who}: The file {path} lies outside the directories that connections may use.",
            hint=f"file_roots in config.yaml names them: {', '.join(protection.file_roots)}.",
        )
    if _is_protected(real, protection):
        raise Protected(
            f"{who}: The file {path} belongs to Pipekit itself, and no connection may use it.",
            hint="Name another file; Pipekit's metadata, secrets, logs, backups and programs are its own.",
        )


def _is_protected(real: Path, protection: Protection) -> bool:
    around = list(real.parents)
    folders = [_real(folder) for folder in protection.folders]
    if any(folder == real or folder in around for folder in folders):
        return True
    if real.suffix in _MODULES and any(folder.parent == real.parent for folder in folders):
        return True
    identities = {found for folder in folders if (found := _identity(folder))}
    if any(_identity(parent) in identities for parent in [real, *around]) or any(map(_is_cluster, around)):
        return True
    return _is_file_of(real, protection, folders)


def _is_file_of(real: Path, protection: Protection, folders: list[Path]) -> bool:
    own = [_real(f"{file}{end}") for file in protection.files for end in ("", *_SIDECARS)]
    if real in own:
        return True
    found = _identity(real)
    if found is None:
        return False
    if found in {_identity(file) for file in own}:
        return True
    # a file with one name only was compared already
    return real.is_file() and real.stat().st_nlink > 1 and found in set(_identities(folders))


def _identities(folders: list[Path]) -> Iterator[Identity | None]:
    for folder in folders:
        for directory, _, names in os.walk(folder):
            yield from (_identity(Path(directory, name)) for name in names)


def _identity(path: Path) -> Identity | None:
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def _is_cluster(directory: Path) -> bool:
    """Whether it is the data directory of a PostgreSQL server, embedded or not."""
    with suppress(OSError):
        return (directory / "PG_VERSION").is_file() and (directory / "global" / "pg_control").is_file()
    return False


@cache
def _real(path: str) -> Path:
    """Return where one of Pipekit's own paths is; they are the same as long as a process lives."""
    return Path(os.path.realpath(path))
