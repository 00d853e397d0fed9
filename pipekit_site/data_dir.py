"""The data directory: made when missing, its private files readable by their owner alone.

The directory may be passed through, so that a web server of another user can be given `static`; what is private in it
has a mode of its own.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

from pipekit_site.config.config import Config


def prepare(config: Config) -> None:
    """Make the directories, and the SQLite file in WAL mode, where they are missing."""
    try:
        for directory in (config.data_dir, config.log_dir, config.data_dir / "static"):
            if not directory.is_dir():
                directory.mkdir(mode=0o711, parents=True)
        if config.is_sqlite:
            _make_once(Path(config.database), _empty_database)
    except (OSError, sqlite3.Error) as error:
        raise ImproperlyConfigured(
            f"Pipekit cannot start; its configuration is wrong.\n"
            f"  data_dir: {config.data_dir} cannot be used ({error}); expected a directory that this user may write to."
        ) from error


def secret_key(config: Config) -> str:
    """Return the install's key for signing sessions, made once."""
    file = config.data_dir / "secret_key"
    _make_once(file, lambda path: path.write_text(get_random_secret_key()))
    return file.read_text().strip()


def _make_once(file: Path, fill: Callable[[Path], object]) -> None:
    """Make a file of mode 0600 that others see whole or not at all; whoever comes second takes the first one's."""
    if file.exists():
        return
    file.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    # mkstemp is O_EXCL and 0600
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    os.close(handle)
    try:
        fill(Path(name))
        with contextlib.suppress(FileExistsError):
            os.link(name, file)
    finally:
        os.unlink(name)


def _empty_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
