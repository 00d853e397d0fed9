"""Says what is wrong with the SQLite file of the metadata, from SQLite's error and the file itself.

SQLite reports a directory, a read-only disk and a full one with the same words.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from connections.sdk.files.path_problem import path_problem

RESTORE = (
    "Keep the file, stop what uses it, and put the last backup in its place: pipekit_site/docs/operating.md, Backup."
    " {where} names the file."
)
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_FREE_SPACE = "Free space on that disk, then try again: what is in the file is not lost."
_REPLACE = "Put the database or its last backup there, or correct {where}."
_WRITABLE = "Run as the user that owns the file and its directory, on a disk that is not read-only."
# errors whose cause is found by looking at the file
_ACCESS = ("SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_PERM")
# bytes; SQLite needs some for the files beside the database
_MIN_FREE_SPACE = 256 * 1024


def is_damage(error: BaseException) -> bool:
    """Return whether the error of sqlite3 means that the file is damaged, or is no database."""
    return _kind(error) in _DAMAGED


def explained_if_missing(file: Path) -> tuple[str, str] | None:
    """Return what `explained` returns if there is no file, which SQLite would create when it opens it; None if not."""
    if file.exists():
        return None
    problem = _path_explained(file)
    return problem or (f"there is no file {file}", _REPLACE)


def explained(error: BaseException, file: Path) -> tuple[str, str] | None:
    """Return a clause that names the file and says what is wrong, and advice; None for other errors."""
    kind = _kind(error)
    if kind == "SQLITE_CORRUPT":
        return f"{file} is damaged", RESTORE
    if kind == "SQLITE_NOTADB":
        return f"{file} is not a SQLite database", RESTORE
    if kind == "SQLITE_FULL":
        return f"the disk of {file} is full", _FREE_SPACE
    return _explained_by_file(file, kind) if kind in _ACCESS else None


def _path_explained(file: Path) -> tuple[str, str] | None:
    if problem := path_problem(file):
        return f"{file} {problem}", _REPLACE
    if not file.parent.is_dir():
        return f"there is no directory {file.parent}", "Create it, or correct {where}."
    return None


def _explained_by_file(file: Path, kind: str) -> tuple[str, str]:
    if problem := _path_explained(file):
        return problem
    existing = [file] if file.exists() else []
    if not all(os.access(path, os.R_OK | os.W_OK) for path in [file.parent, *existing]):
        return f"{file} or its directory cannot be written to by this user", _WRITABLE
    if shutil.disk_usage(file.parent).free < _MIN_FREE_SPACE:
        return f"the disk of {file} is full", _FREE_SPACE
    if kind == "SQLITE_READONLY":
        return f"{file} cannot be written to", _WRITABLE
    verb = "opened" if kind == "SQLITE_CANTOPEN" else "read or written"
    return f"{file} cannot be {verb}", "Check the disk and the file's directory. {where} names the file."


def _kind(error: BaseException) -> str:
    """Return the name of SQLite's error without its extension, such as SQLITE_IOERR; empty for other errors."""
    return "_".join(str(getattr(error, "sqlite_errorname", "")).split("_")[:2])
