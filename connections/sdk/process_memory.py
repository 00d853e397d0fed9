"""Keeps what a process knows, secrets among it, from being written to disk or read by other processes of its user."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4


def keep_private() -> None:
    """Turn core dumps off, for this process and its children, and tracing and /proc/<pid>/environ for this one.

    The limit alone does not hold where the kernel pipes dumps to a program; the flag alone ends with the next exec.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
