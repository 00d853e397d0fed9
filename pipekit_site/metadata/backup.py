"""Backs up the SQLite metadata database to one file: consistent while runs write, and verified."""

from __future__ import annotations

import datetime as dt
import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.backends.sqlite3._functions import register  # type: ignore[import-untyped]

from connections.sdk.errors import ConfigurationInvalid, NotSupported, PipekitError
from connections.sdk.formatting import one_line
from pipekit_site.metadata import errors, sqlite_file, url

_EMPTY = "Put the database or its last backup there, or correct {where}. A new installation has nothing to back up yet."


class BackupFailed(PipekitError):
    """The backup could not be written."""

    code = "backup_failed"


def back_up(target: Path | None = None) -> Path:
    """Write a backup and return its path; the default target is ``backups/`` in the data directory.

    The file has mode 0600, appears only when it is complete, and never replaces another one. Raises NotSupported if the
    metadata is not in SQLite, ConfigurationInvalid for an invalid target, MetadataUnavailable if the database is empty,
    BackupFailed if the backup cannot be written.
    """
    if connection.vendor != "sqlite":
        raise NotSupported(
            "The metadata is in PostgreSQL, which has its own backup programs.",
            hint=f"Run: {_pg_dump()}",
        )
    file = _file(target)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with _private(unfinished):
            _copy(Path(connection.settings_dict["NAME"]), unfinished)
            _name(unfinished, file)
    except (OSError, sqlite3.Error) as error:
        raise BackupFailed(
            f"The backup could not be written: {error}.",
            hint=f"Check free space and permissions of {file.parent}, or name another file.",
        ) from error
    _sync(file.parent)
    return file


def _pg_dump() -> str:
    """Return a pg_dump command, which prompts for the password or reads it from ~/.pgpass."""
    place = url.without_password(connection.settings_dict)
    return shlex.join(["pg_dump", "--format=custom", "--file=pipekit.dump", f"--dbname={place}"])


def _file(target: Path | None) -> Path:
    name = f"pipekit-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}.db"
    if target is None:
        directory = Path(settings.PIPEKIT.data_dir) / "backups"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = directory
    file = (target / name if target.is_dir() else target).absolute()
    _check_absent(file)
    if not file.parent.is_dir():
        raise ConfigurationInvalid(f"There is no directory {file.parent}.", hint="Create it, or name another file.")
    return file


def _check_absent(file: Path) -> None:
    if file.exists() or file.is_symlink():
        raise ConfigurationInvalid(f"{file} exists already, and is not replaced.", hint="Name another file.")


def _name(unfinished: Path, file: Path) -> None:
    """Give the finished file its name. Another program may have created a file of this name in the meantime."""
    try:
        # unlike a rename, a link replaces no file
        os.link(unfinished, file)
    except OSError:
        # some file systems have no links
        _check_absent(file)
        unfinished.rename(file)


@contextmanager
def _private(file: Path) -> Iterator[None]:
    """Create the file with mode 0600, and remove it, and SQLite's files beside it, at the end."""
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield
    finally:
        for path in (file, file.with_name(f"{file.name}-journal"), file.with_name(f"{file.name}-wal")):
            with suppress(FileNotFoundError):
                path.unlink()


def _copy(database: Path, file: Path) -> None:
    source = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=30)
    with closing(source), closing(sqlite3.connect(file)) as copy:
        if not source.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            # each command creates an empty one if the file is missing
            raise errors.unavailable(f"{database} is empty, perhaps because the file was moved", _EMPTY)
        # in one step, on one snapshot: in WAL mode writers do not wait for it, nor make it restart
        source.backup(copy)
        # so that there is no WAL file beside it
        copy.execute("PRAGMA journal_mode = DELETE")
        # check constraints use functions that Django registers
        register(copy)
        result = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if result != "ok":
        raise BackupFailed(
            f"The backup is damaged, and so most likely is {database}: {one_line(result)}.",
            hint=sqlite_file.RESTORE.format(where=errors.where()),
        )
    _sync(file)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
