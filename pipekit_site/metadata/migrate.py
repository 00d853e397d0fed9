"""The metadata database is made, or brought up to date, by whichever command needs it first.

A fresh clone has none and an upgrade has an older one; in neither case should anybody have to know about migrations.
"""

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

# they look at the database as it is
_LOOKING = frozenset({"backup", "doctor"})
# seconds for which those that nobody looks at wait for a server that is just restarting
_PATIENCE = {"carryout": 60.0}
# any number, the same for all that migrate one database: "pipekit" in ASCII
_LOCK = 0x706970656B6974


def prepare_for(command: str) -> None:
    """Migrate when ``command`` is one of ours and the database is new or older than this version.

    Raises MetadataUnavailable saying what to do when the database does not let it.
    """
    if get_commands().get(command) not in our_apps() or command in _LOOKING:
        return
    try:
        _connect(_PATIENCE.get(command, 0.0))
        if is_behind():
            migrate()
    except (DatabaseError, InterfaceError) as error:
        raise errors.explained(error) from error


def _connect(patience: float) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            return connection.ensure_connection()
        except OperationalError:
            if time.monotonic() >= until:
                raise
        time.sleep(1)


def is_behind() -> bool:
    """Whether a migration of ours is not applied. Compares names only: the migrations are not imported."""
    # not reached is not behind
    connection.ensure_connection()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT app, name FROM django_migrations")
            applied = set(cursor.fetchall())
    except DatabaseError:
        return True
    return not _written() <= applied


def migrate() -> None:
    """Migrate, one process at a time; says so on stderr, as the result of a command is on stdout."""
    with _alone():
        if is_behind():
            print("The metadata database is new or older than this version; migrating it.", file=sys.stderr)
            call_command("migrate", verbosity=0)


@contextmanager
def _alone() -> Iterator[None]:
    """Wait for others that migrate: of this install by a file, of other machines by the database itself."""
    with install_lock(Path(settings.PIPEKIT.data_dir), "migrate", wait=math.inf):
        if connection.vendor != "postgresql":
            yield
            return
        # of a transaction, not of a session, which a pooler may give to somebody else in between
        other = connections.create_connection("default")
        try:
            other.set_autocommit(False)
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            yield
        finally:
            other.close()


def our_apps() -> set[str]:
    root = Path(settings.BASE_DIR)
    return {app.name for app in apps.get_app_configs() if Path(app.path).parent == root}


def _written() -> set[tuple[str, str]]:
    folders = [(app.label, Path(app.path) / "migrations") for app in apps.get_app_configs() if app.name in our_apps()]
    return {(label, file.stem) for label, folder in folders for file in folder.glob("[0-9]*.py")}
