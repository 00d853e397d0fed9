"""System checks of the installation: configurations that Django accepts but Pipekit cannot work with."""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import DatabaseError, connection

from connections.secrets.references import SecretStore
from pipekit_site.config.config import VARIABLES, Config
from pipekit_site.metadata import errors

# the pragmas that `settings` sets, with the values that SQLite returns for them
_PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
_NETWORK_FILESYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "ceph", "glusterfs", "9p"})
# valid variables that are not read by the configuration
_OTHER_VARIABLES = ("PIPEKIT_FAULTS", "PIPEKIT_FAULT_LOG")


@register("pipekit")
def check_installation(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check data directory, metadata database, secrets file, jrunner and PIPEKIT_* variables."""
    config: Config = settings.PIPEKIT
    return [
        *_data_dir(config),
        *_sqlite_place(config),
        *_sqlite_pragmas(config),
        *_secrets_file(config),
        *_jrunner(config),
        *_misspelled_variables(),
    ]


@register("pipekit", deploy=True)
def check_transport(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warn, in `check --deploy`, if passwords and sessions cross the network in clear text."""
    config: Config = settings.PIPEKIT
    if config.tls:
        return []
    hosts = f" Allowed hosts: {', '.join(config.allowed_hosts)}." if config.allowed_hosts else ""
    return [
        Warning(
            f"TLS is off: passwords and sessions travel in clear text.{hosts}",
            hint="Use a proxy that terminates TLS, and set tls: true (PIPEKIT_TLS). If only this machine uses it, as"
            " 127.0.0.1, TLS may stay off.",
            id="pipekit.W003",
        )
    ]


def _data_dir(config: Config) -> Iterator[CheckMessage]:
    if not os.access(config.data_dir, os.W_OK | os.X_OK):
        yield Error(
            f"The data directory {config.data_dir} cannot be written to by this user.",
            hint="Run as the user that owns it, or set data_dir to another directory.",
            id="pipekit.E001",
        )


def _sqlite_place(config: Config) -> Iterator[CheckMessage]:
    if config.is_sqlite and (kind := _filesystem(Path(config.database))) in _NETWORK_FILESYSTEMS:
        yield Error(
            f"The metadata database {config.database} is on a network file system ({kind}), where SQLite's locks"
            " do not work.",
            hint="Set database to a file on a local disk, or to a postgresql:// URL.",
            id="pipekit.E002",
        )


def _sqlite_pragmas(config: Config) -> Iterator[CheckMessage]:
    if connection.vendor != "sqlite":
        return
    try:
        pragmas = _read_pragmas()
    except DatabaseError as error:
        unavailable = errors.from_database_error(error)
        yield Error(unavailable.message, hint=unavailable.hint, id="pipekit.E003")
        return
    wrong = {name: value for name, value in pragmas.items() if value != _PRAGMAS[name]}
    if wrong:
        listed = ", ".join(f"{name} is {value}, not {_PRAGMAS[name]}" for name, value in wrong.items())
        yield Error(
            f"SQLite did not accept the settings that keep the metadata safe: {listed}.",
            hint="Set database to a file on a local disk that this user may write to.",
            id="pipekit.E004",
        )


def _read_pragmas() -> dict[str, Any]:
    with connection.cursor() as cursor:
        return {name: cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in _PRAGMAS}


def _secrets_file(config: Config) -> Iterator[CheckMessage]:
    for problem in SecretStore(path=config.secrets_file).check():
        yield Warning(problem.message, hint=problem.hint or None, id="pipekit.W002")


def _jrunner(config: Config) -> Iterator[CheckMessage]:
    if config.jrunner_path and shutil.which(config.jrunner_path) is None:
        yield Error(
            f"jrunner_path is {config.jrunner_path}, which is not an executable program.",
            hint="Give the path of an executable, or leave jrunner_path out to use the bundled jrunner.",
            id="pipekit.E005",
        )


def _misspelled_variables() -> Iterator[CheckMessage]:
    for name in sorted(os.environ):
        if not name.startswith("PIPEKIT_") or name.startswith("PIPEKIT_SECRET_"):
            continue
        close = difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.85)
        if name not in VARIABLES and name not in _OTHER_VARIABLES and close:
            yield Warning(
                f"The variable {name} is set, but not used.", hint=f"Did you mean {close[0]}?", id="pipekit.W001"
            )


def _filesystem(path: Path) -> str:
    """Return the type of the filesystem that a path is on, or an empty string if it is unknown."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return ""
    resolved = path.parent.resolve()
    parents = [(len(point), kind) for point, kind in mounts if resolved.is_relative_to(point.replace("\\040", " "))]
    return max(parents, default=(0, ""))[1]
