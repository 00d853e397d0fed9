"""Signals the process of a run through a pidfd, so that a reused pid is never signalled.

The pidfd is opened first and the process's start time compared afterwards: the process that was checked is the one
that is signalled. psutil finds the descendants, but signals by pid, a moment after it has compared the start time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from runs.process import identity
from runs.process.identity import ProcessIdentity


class ProcessHandle:
    """A handle of one process; its methods do nothing if the process has ended or is on another machine."""

    def __init__(self, process: ProcessIdentity | None, stack: ExitStack) -> None:
        self._process, self._stack = process, stack
        self._pidfd = _open_pidfd(stack, process) if process else None
        self._descendants: list[tuple[int, ProcessIdentity]] = []

    def terminate(self) -> None:
        """Send SIGTERM; the process ends its children itself."""
        self._send(self._pidfd, signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL; its children notice that their parent is gone and roll back."""
        if self._pidfd is not None and self._process is not None:
            children = [identity.of_pid(pid) for pid in descendants(self._process.pid)]
            opened = [(_open_pidfd(self._stack, child), child) for child in children]
            self._descendants = [(pidfd, child) for pidfd, child in opened if pidfd is not None]
        self._send(self._pidfd, signal.SIGKILL)

    def kill_descendants(self) -> None:
        """Send SIGKILL to the descendants that the process had when it was killed."""
        for pidfd, _ in self._descendants:
            self._send(pidfd, signal.SIGKILL)

    def has_descendants(self) -> bool:
        """Return whether descendants of the killed process still run."""
        return any(child.is_here() for _, child in self._descendants)

    @staticmethod
    def _send(pidfd: int | None, number: signal.Signals) -> None:
        if pidfd is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, number)


@contextmanager
def open_process(process: ProcessIdentity | None) -> Iterator[ProcessHandle]:
    """Yield a handle of the process, valid within the block."""
    with ExitStack() as stack:
        yield ProcessHandle(process, stack)


def _open_pidfd(stack: ExitStack, process: ProcessIdentity) -> int | None:
    try:
        pidfd = os.pidfd_open(process.pid)
    except (OSError, AttributeError):
        return None
    stack.callback(os.close, pidfd)
    return pidfd if process.is_here() else None


def descendants(pid: int) -> list[int]:
    """Return the pids of all descendants whose chain of parents is still alive."""
    # imported here because it takes longer than many commands that signal nothing
    import psutil

    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
