"""Creation of files and directories that only their owner can access, whatever the umask. Never follows symlinks."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from connections.sdk.errors import PermissionDenied


def create_private(path: Path) -> None:
    """Create an empty file of mode 0600; do nothing when it exists or cannot be created."""
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def give_to_owner_of(existing: Path, created: Path | int) -> None:
    """As root, change the owner of ``created`` to that of ``existing``: of a directory, the user who runs Pipekit.

    Raises OSError where that differs and even root cannot change it, as on NFS.
    """
    if os.geteuid() == 0:
        wanted, status = existing.stat(), os.stat(created)
        if (status.st_uid, status.st_gid) != (wanted.st_uid, wanted.st_gid):
            os.chown(created, wanted.st_uid, wanted.st_gid)


def give_new_to_owner_of(directory: Path, created: Path | int) -> None:
    """Change the owner of a new file as `give_to_owner_of` does, if possible: root's file is better than none."""
    with contextlib.suppress(OSError):
        give_to_owner_of(directory, created)


def replace_file(file: Path, text: str, *, durable: bool = True) -> None:
    """Replace a file atomically by one of mode 0600 with ``text`` in UTF-8; it need not exist before.

    When root does it, the file belongs to the owner of the one it replaces, else, if possible, of its directory. With
    ``durable`` the text is on the disk first. Raises OSError, and leaves no temporary file.
    """
    directory = file.absolute().parent
    # mkstemp creates it with mode 0600
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=directory)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as opened:
            opened.write(text)
            opened.flush()
            if durable:
                os.fsync(handle)
            if file.exists():
                give_to_owner_of(file, handle)
            else:
                give_new_to_owner_of(directory, handle)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise


def private_directory(path: Path) -> Path:
    """Return ``path``, a directory of mode 0700, which is created when missing.

    When root creates it, it belongs, if possible, to the owner of its parent. Raises PermissionDenied when it is a
    symbolic link or another user's.
    """
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
        give_new_to_owner_of(path.parent, path)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or os.geteuid() not in (0, status.st_uid):
        raise PermissionDenied(
            f"{path} belongs to another user, or is not a directory.",
            hint="Remove it, or run as the user that owns it.",
        )
    if stat.S_IMODE(status.st_mode) != 0o700:
        path.chmod(0o700)
    return path


_lock = threading.Lock()
_active_blocks = 0
_previous_umask = 0


@contextlib.contextmanager
def private_umask() -> Iterator[None]:
    """Set the umask of this process to 0077 for the duration of the block; blocks of several threads may overlap."""
    global _active_blocks, _previous_umask
    with _lock:
        if _active_blocks == 0:
            _previous_umask = os.umask(0o077)
        _active_blocks += 1
    try:
        yield
    finally:
        with _lock:
            _active_blocks -= 1
            if _active_blocks == 0:
                os.umask(_previous_umask)
