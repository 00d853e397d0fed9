"""Files and folders for their owner alone, whatever the umask; never through a link that somebody else put there."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from connections.sdk.errors import PermissionDenied


def create_private(path: Path) -> None:
    """Create an empty file of mode 0600, unless there is a file or its directory is missing."""
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def give_to_owner_of(directory: Path, made: Path | int) -> None:
    """Give what root has made to the directory's owner, who runs Pipekit there and needs it, too."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.chown(made, owner.st_uid, owner.st_gid)


def private_directory(path: Path) -> Path:
    """Return a directory of mode 0700, made when it is missing; by root, for whom the directory around it belongs to.

    Raises PermissionDenied when it is a link or another user's.
    """
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
        give_to_owner_of(path.parent, path)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or os.geteuid() not in (0, found.st_uid):
        raise PermissionDenied(
            f"{path} is not a directory of this user's own.", hint="Remove it, or run as the user that it belongs to."
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)
    return path


_lock = threading.Lock()
_holders = 0
_before = 0


@contextlib.contextmanager
def private_umask() -> Iterator[None]:
    """Make what this process creates private for the time of the block; blocks of several threads may overlap."""
    global _holders, _before
    with _lock:
        if _holders == 0:
            _before = os.umask(0o077)
        _holders += 1
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if _holders == 0:
                os.umask(_before)
