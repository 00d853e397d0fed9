"""Creates or migrates the metadata database when a command needs it, after a fresh clone or an upgrade."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.management import call_command, get_commands
from django.db import DatabaseError, InterfaceError, OperationalError, connection, connections

from connections.sdk.files.lock import install_lock
from pipekit_site.metadata import errors

# commands that use the database as it is, and report themselves what is wrong with it
_REPORTING = frozenset({"check", "doctor"})
# and the one that copies it
_BACKUP = "backup"
# a command of django-crontab, by which cron ticks: the first tick after an upgrade migrates, like any other command
_OF_CRON = "crontab"
# seconds for which commands started by Pipekit wait for a server that is restarting
_CONNECT_TIMEOUTS = {"carryout": 60.0}
# key of the advisory lock of migrations: "pipekit" in ASCII
_LOCK = 0x706970656B6974


def prepare_for(command: str) -> None:
    """Migrate the database if it is new or older than this version, and ``command`` is one that needs it.

    Raises MetadataUnavailable.
    """
    is_own = command == _OF_CRON or get_commands().get(command) in own_apps()
    if not is_own or command in _REPORTING:
        return
    if command == _BACKUP and connection.vendor != "sqlite":
        # it only says so, also if the server is down
        return
    try:
        _connect(_CONNECT_TIMEOUTS.get(command, 0.0))
        if command != _BACKUP and is_behind():
            migrate_metadata()
    except (DatabaseError, InterfaceError) as error:
        raise errors.from_database_error(error) from error


def _connect(timeout: float) -> None:
    until = time.monotonic() + timeout
    while True:
        try:
            return connection.ensure_connection()
        except OperationalError:
            if time.monotonic() >= until:
                raise
        time.sleep(1)


def is_behind() -> bool:
    """Return whether a migration of Pipekit is not applied. Compares file names, without importing migrations."""
    # connection errors are raised here; later ones mean that the table does not exist
    connection.ensure_connection()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT app, name FROM django_migrations")
            applied = set(cursor.fetchall())
    except DatabaseError as error:
        if errors.is_damage(error):
            raise
        return True
    return not _migration_files() <= applied


def migrate_metadata() -> None:
    """Migrate, one process at a time. Prints a message to stderr, as stdout is for the command's result."""
    with _lock():
        if is_behind():
            print("The metadata database is new or older than this version; migrating it.", file=sys.stderr)
            call_command("migrate", verbosity=0)


@contextmanager
def _lock() -> Iterator[None]:
    """Hold the lock for migrations: a file for this installation, an advisory lock for those on other machines."""
    with install_lock(Path(settings.PIPEKIT.data_dir), "migrate", wait=math.inf):
        if connection.vendor != "postgresql":
            yield
            return
        # a lock of a transaction, because a pooler may give the session to another client
        other = connections.create_connection("default")
        try:
            other.set_autocommit(False)
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            yield
        finally:
            other.close()


def own_apps() -> set[str]:
    """Return the names of Pipekit's own apps."""
    root = Path(settings.BASE_DIR)
    return {app.name for app in apps.get_app_configs() if Path(app.path).parent == root}


def _migration_files() -> set[tuple[str, str]]:
    own = own_apps()
    folders = [(app.label, Path(app.path) / "migrations") for app in apps.get_app_configs() if app.name in own]
    return {(label, file.stem) for label, folder in folders for file in folder.glob("[0-9]*.py")}
