"""Locks between processes of one user. Nobody else can take one: the file is the owner's and may be opened by no other.

The kernel lets go of a lock when its process dies, whatever it died of.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from connections.sdk.errors import PermissionDenied
from connections.sdk.files.private import give_to_owner_of, private_directory

# in the data directory
FOLDER = "locks"
_LOOK = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a lock, as far as it says: process id, and for how many seconds."""

    pid: int
    seconds: float


class Held(Exception):
    """Another process holds the lock."""

    def __init__(self, holder: Holder | None) -> None:
        super().__init__("another process holds the lock")
        self.holder = holder


@contextmanager
def install_lock(data_dir: Path, name: str, *, wait: float = 0) -> Iterator[None]:
    """Hold one of the locks of an install, which lie in a directory of mode 0700. Raises as `file_lock`."""
    private_directory(data_dir / FOLDER)
    with file_lock(data_dir / FOLDER / f"{name}.lock", wait=wait):
        yield


@contextmanager
def file_lock(file: Path, *, wait: float = 0, remove: bool = False) -> Iterator[None]:
    """Hold the lock for the time of the block, waiting up to ``wait`` seconds for it; ``remove`` leaves no file behind.

    Raises Held when another process still has it, PermissionDenied when the file is not this user's own.
    """
    handle = _taken(file, wait)
    try:
        # since when: a clock that nobody sets
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {time.monotonic():.0f}\n".encode(), 0)
        yield
    finally:
        if remove:
            file.unlink(missing_ok=True)
        os.close(handle)


def _taken(file: Path, wait: float) -> int:
    until = time.monotonic() + wait
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _check_owner(file, handle)
            _take(handle, until)
            if _is_still(file, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_still(file: Path, handle: int) -> bool:
    """Whether the file was not removed while its lock was waited for."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), os.stat(file))
    return False


def _check_owner(file: Path, handle: int) -> None:
    found = os.fstat(handle)
    if found.st_uid == 0:
        give_to_owner_of(file.parent, handle)
    if not stat.S_ISREG(found.st_mode) or os.geteuid() not in (0, found.st_uid):
        raise PermissionDenied(
            f"The lock file {file} is not this user's own.", hint="Remove it, or run as the user that it belongs to."
        )
    if found.st_mode & 0o077:
        # whoever may open it could hold the lock
        os.fchmod(handle, 0o600)


def _take(handle: int, until: float) -> None:
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise Held(_holder(handle)) from None
        time.sleep(_LOOK)


def _holder(handle: int) -> Holder | None:
    with suppress(ValueError):
        pid, since = os.pread(handle, 100, 0).split()
        return Holder(pid=int(pid), seconds=max(0.0, time.monotonic() - float(since)))
    return None
