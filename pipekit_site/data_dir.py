"""Creates the data directory, the SQLite file and the secret key, with permissions for their owner only.

Other users may traverse the directory itself (mode 0711), so that a web server can be given access to `static`.
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
    """Create missing directories, and the SQLite file in WAL mode. Raises ImproperlyConfigured."""
    try:
        for directory in (config.data_dir, config.log_dir, config.data_dir / "static"):
            if not directory.is_dir():
                directory.mkdir(mode=0o711, parents=True)
        if config.is_sqlite:
            _create_once(Path(config.database), _create_database)
    except (OSError, sqlite3.Error) as error:
        raise ImproperlyConfigured(
            f"Pipekit cannot start; its configuration is invalid.\n"
            f"  data_dir: {config.data_dir} cannot be used ({error}); expected a directory that this user may write to."
        ) from error


def secret_key(config: Config) -> str:
    """Return the installation's key for signing sessions, creating it on first use."""
    file = config.data_dir / "secret_key"
    _create_once(file, lambda path: path.write_text(get_random_secret_key()))
    return file.read_text().strip()


def _create_once(file: Path, fill: Callable[[Path], object]) -> None:
    """Create a file atomically with mode 0600, unless it exists or another process creates it first."""
    if file.exists():
        return
    file.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    # mkstemp uses O_EXCL and mode 0600
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    os.close(handle)
    try:
        fill(Path(name))
        with contextlib.suppress(FileExistsError):
            os.link(name, file)
    finally:
        os.unlink(name)


def _create_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
