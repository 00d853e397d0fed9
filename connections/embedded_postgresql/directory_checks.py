"""Checks where an embedded server may be created (in the data directory) and started (where Pipekit created it)."""

from __future__ import annotations

import os
from pathlib import Path

from connections.embedded_postgresql.system_user import system_user
from connections.sdk.errors import ConfigurationInvalid

# files that mark a directory as Pipekit's: this version's, and that of the package that earlier versions used
MARKER = ".pipekit"
_MADE_BY_PIPEKIT = (MARKER, ".handle_pids.json")
# directories of the data directory that Pipekit uses itself, some of them pruned or served over HTTP
_TAKEN = frozenset({"backups", "drivers", "locks", "logs", "media", "spool", "static"})


def real(directory: str | Path) -> Path:
    """Return the absolute path, with ``~`` expanded and links resolved."""
    return Path(os.path.realpath(Path(directory).expanduser()))


def is_cluster(path: Path) -> bool:
    """Return whether the directory is a PostgreSQL data directory."""
    return (path / "PG_VERSION").is_file()


def check(path: Path, within: str | Path | None) -> None:
    """Raise ConfigurationInvalid unless a server may be created or started in the directory."""
    if is_cluster(path):
        _check_cluster(path)
        if within is None or _is_inside(path, within) or any((path / name).is_file() for name in _MADE_BY_PIPEKIT):
            return
        raise _refused(path, "was not created by Pipekit")
    if within is not None and not _is_inside(path, within):
        raise _refused(path, f"is outside of Pipekit's data directory {within}")
    if within is not None and path.relative_to(real(within)).parts[0] in _TAKEN:
        raise _refused(path, "is reserved for Pipekit's own files")
    if path.exists() and not _is_own_and_empty(path):
        raise _refused(path, "is not an empty directory of this user")


def _check_cluster(path: Path) -> None:
    owner = path.stat().st_uid
    if owner != system_user().uid:
        raise _refused(path, f"belongs to another user (id {owner})")


def _is_own_and_empty(path: Path) -> bool:
    """Return whether a server may be created in this existing directory; never as root, who runs it as another user."""
    return os.geteuid() != 0 and path.is_dir() and path.stat().st_uid == os.geteuid() and not any(path.iterdir())


def _is_inside(path: Path, within: str | Path) -> bool:
    home = real(within)
    return path != home and path.is_relative_to(home)


def _refused(path: Path, why: str) -> ConfigurationInvalid:
    return ConfigurationInvalid(
        f"The embedded PostgreSQL in {path} did not start: the directory {why}; nothing was changed.",
        hint="Name a directory inside the data directory that does not exist yet, or that Pipekit created.",
    )
