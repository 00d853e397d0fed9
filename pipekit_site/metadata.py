"""The metadata database is made, or brought up to date, by whichever command needs it first.

A fresh clone has none and an upgrade has an older one; in neither case should anybody have to know about migrations.
"""

from __future__ import annotations

import fcntl
import sys
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.management import call_command, get_commands
from django.db import DatabaseError, connection

# they look at the database as it is
_LOOKING = frozenset({"doctor"})


def prepare_for(command: str) -> None:
    """Migrate when ``command`` is one of ours and the database is new or older than this version."""
    if get_commands().get(command) in _our_apps() and command not in _LOOKING and is_behind():
        migrate()


def is_behind() -> bool:
    """Whether a migration of ours is not applied. Compares names only: the migrations are not imported."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT app, name FROM django_migrations")
            applied = set(cursor.fetchall())
    except DatabaseError:
        return True
    return not _written() <= applied


def migrate() -> None:
    """Migrate, one process at a time; says so on stderr, as the result of a command is on stdout."""
    with (Path(settings.PIPEKIT.data_dir) / "migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_behind():
            print("The metadata database is new or older than this version; migrating it.", file=sys.stderr)
            call_command("migrate", verbosity=0)


def _our_apps() -> set[str]:
    root = Path(settings.BASE_DIR)
    return {app.name for app in apps.get_app_configs() if Path(app.path).parent == root}


def _written() -> set[tuple[str, str]]:
    folders = [(app.label, Path(app.path) / "migrations") for app in apps.get_app_configs() if app.name in _our_apps()]
    return {(label, file.stem) for label, folder in folders for file in folder.glob("[0-9]*.py")}
