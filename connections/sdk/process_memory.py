"""Protection of a process's memory, which contains secrets, from core dumps and from other processes of the user."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4


def keep_private() -> None:
    """Disable core dumps for this process and its children, and tracing and /proc/<pid>/environ for this process.

    Both settings are needed: the limit is ignored where the kernel pipes dumps to a program, and the flag is reset by
    the next exec.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
