"""Says what is wrong with a path that does not lead to a file, and what to do about an error of the operating system.

Uses only the standard library, as the configuration and errors at the start of a command need it.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path


def path_problem(path: Path) -> str:
    """Return a clause such as `is a directory`; empty for a file, for a path that is free, and if it is unknown."""
    try:
        if path.is_dir():
            return "is a directory"
        if path.is_symlink() and not path.exists():
            return f"is a broken link to {os.readlink(path)}"
    except OSError:
        # a directory on the way is unreadable: opening the file says more
        return ""
    return ""


def advice(error: OSError) -> str:
    """Return what to do about the error, by its number."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free space on that disk."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Run as the user that owns the data directory, on a writable disk."
    return "Check that file or directory, and run manage.py doctor."


def advice_for_given(error: OSError, *, access: str) -> str:
    """Return what to do about the error of a path that a user has given, and that is to be opened for ``access``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free space on that disk, or name a file on another one."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"Name a file that this user may {access}."
    return "Name another file."
