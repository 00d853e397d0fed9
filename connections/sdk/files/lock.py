"""File locks between processes of one user.

The lock file has mode 0600, so that no other user can take the lock. The kernel releases a lock when its process ends,
for whatever reason.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from connections.sdk.errors import PermissionDenied
from connections.sdk.files.private import give_new_to_owner_of, private_directory
from connections.sdk.records import dataclass

# directory of the locks, in the data directory
FOLDER = "locks"
# seconds between two attempts
_INTERVAL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that holds a lock, according to the lock file, and for how many seconds it has held it."""

    pid: int
    seconds: float


class LockHeld(Exception):
    """Another process holds the lock; ``holder`` is None when the lock file does not say which."""

    def __init__(self, holder: Holder | None) -> None:
        super().__init__("another process holds the lock")
        self.holder = holder


@contextmanager
def install_lock(data_dir: Path, name: str, *, wait: float = 0) -> Iterator[None]:
    """Hold the lock ``name`` of the installation in ``data_dir``. Waits and raises as `file_lock`."""
    private_directory(data_dir / FOLDER)
    with file_lock(data_dir / FOLDER / f"{name}.lock", wait=wait):
        yield


@contextmanager
def file_lock(file: Path, *, wait: float = 0, remove: bool = False) -> Iterator[None]:
    """Hold the lock for the duration of the block; with ``remove``, delete the file afterwards.

    Raises LockHeld when another process still holds it after ``wait`` seconds, and PermissionDenied when the file
    belongs to another user or is not a regular file.
    """
    handle = _acquire(file, wait)
    try:
        # the monotonic clock is the same for all processes and is never set
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {time.monotonic():.0f}\n".encode(), 0)
        yield
    finally:
        if remove:
            file.unlink(missing_ok=True)
        os.close(handle)


def lock_descriptor(handle: int, *, wait: float = 0, shared: bool = False, interval: float = _INTERVAL) -> None:
    """Lock an open file or directory until it is closed, excluding all other locks, or with ``shared`` exclusive ones.

    Raises BlockingIOError when another process still holds such a lock after ``wait`` seconds; the time between two
    attempts is ``interval``.
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            return fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(interval)


def _acquire(file: Path, wait: float) -> int:
    deadline = time.monotonic() + wait
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _check_owner(file, handle)
            try:
                lock_descriptor(handle, wait=deadline - time.monotonic())
            except BlockingIOError:
                raise LockHeld(_holder(handle)) from None
            if _is_same_file(file, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_same_file(file: Path, handle: int) -> bool:
    """Return whether ``file`` is still the open file: its previous holder may have removed it."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), os.stat(file))
    return False


def _check_owner(file: Path, handle: int) -> None:
    status = os.fstat(handle)
    if status.st_uid == 0:
        give_new_to_owner_of(file.parent, handle)
    if not stat.S_ISREG(status.st_mode) or os.geteuid() not in (0, status.st_uid):
        raise PermissionDenied(
            f"The lock file {file} belongs to another user, or is not a regular file.",
            hint="Remove it, or run as the user that owns it.",
        )
    if status.st_mode & 0o077:
        # any user who can open the file could hold the lock
        os.fchmod(handle, 0o600)


def _holder(handle: int) -> Holder | None:
    with suppress(ValueError):
        pid, since = os.pread(handle, 100, 0).split()
        return Holder(pid=int(pid), seconds=max(0.0, time.monotonic() - float(since)))
    return None
