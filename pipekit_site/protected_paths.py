"""The files, directories and database of this installation that connections must not use."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

from django.db import ProgrammingError, connection, transaction

from connections.connectors.postgresql.own_metadata import SERVER_DATABASE
from connections.sdk.files import protection
from connections.sdk.files.private import replace_file
from connections.sdk.files.protection import Protection, ServerDatabase
from pipekit_site.config.config import BASE_DIR, Config

# in the data directory; other directories in it, such as the demo's, may be used
_FOLDERS = ("backups", "locks", "logs", "media", "postgresql", "spool", "static")
_FILES = ("pipekit.db", "secret_key", "secrets.env", "config.yaml", "tick.lock", "migrate.lock", protection.FILE_NAME)
_PROGRAM = ("connections", "introspection", "modules", "pipekit_site", "runs", "scheduling", "manage.py")


def configure(config: Config) -> None:
    """Set the protection of this process, and write it to a file for a jrunner that is started by hand."""
    protected = of(config)
    _write(config.data_dir / protection.FILE_NAME, protected)
    protection.configure(protected if config.is_sqlite else lambda: replace(protected, databases=_databases()))


def of(config: Config) -> Protection:
    """Return the protection of a configuration, without ``databases``, which are looked up on demand."""
    files = [config.secrets_file, config.config_file, *(config.data_dir / name for name in _FILES)]
    folders = [
        config.driver_dir,
        *(config.data_dir / name for name in _FOLDERS),
        *(BASE_DIR / name for name in _PROGRAM),
    ]
    if config.is_sqlite:
        files.append(Path(config.database))
    if "/" in config.jrunner_path or shutil.which(config.jrunner_path):
        files.append(Path(shutil.which(config.jrunner_path) or config.jrunner_path))
    if sys.prefix != sys.base_prefix:
        folders.append(Path(sys.prefix))
    return Protection(
        data_dir=str(config.data_dir),
        files=tuple(map(str, files)),
        folders=tuple(map(str, folders)),
        file_roots=tuple(map(str, config.file_roots)),
    )


@cache
def _databases() -> tuple[ServerDatabase, ...]:
    """Return the metadata database's identity, or nothing if the server hides it; its tables identify it as well."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(SERVER_DATABASE)
            system, oid = cursor.fetchone()
    except ProgrammingError:
        return ()
    return (ServerDatabase(system_identifier=system, oid=oid),)


def _write(file: Path, protected: Protection) -> None:
    """Write the file if it has changed. A user who may not write to the data directory uses the existing one."""
    text = json.dumps(protected.as_json(), indent=1)
    with suppress(OSError):
        if file.exists() and file.read_text() == text:
            return
        replace_file(file, text, durable=False)
