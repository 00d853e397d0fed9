"""Signals to a run's process, and never to a stranger who was given its pid.

A process is held by a pidfd first and checked by its start afterwards: what is signalled is what was checked.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from runs.process import identity
from runs.process.identity import Owner


class Held:
    """One process, taken hold of; none when it is gone, a stranger's pid or on another machine."""

    def __init__(self, process: Owner | None, stack: ExitStack) -> None:
        self._process, self._stack = process, stack
        self._main = _hold(stack, process) if process else None
        self._below: list[tuple[int, Owner]] = []

    def terminate(self) -> None:
        """Ask it; it ends its children in good order."""
        self._send(self._main, signal.SIGTERM)

    def kill(self) -> None:
        """End it; its children find out and undo what they have begun."""
        if self._main is not None and self._process is not None:
            children = [identity.of_pid(pid) for pid in descendants(self._process.pid)]
            held = [(_hold(self._stack, child), child) for child in children]
            self._below = [(handle, child) for handle, child in held if handle is not None]
        self._send(self._main, signal.SIGKILL)

    def kill_others(self) -> None:
        for handle, _ in self._below:
            self._send(handle, signal.SIGKILL)

    def others_run(self) -> bool:
        """Whether children of a killed process are still there."""
        return any(child.is_here() for _, child in self._below)

    @staticmethod
    def _send(handle: int | None, number: signal.Signals) -> None:
        if handle is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)


@contextmanager
def held(process: Owner | None) -> Iterator[Held]:
    """Hold the process for the time of the block."""
    with ExitStack() as stack:
        yield Held(process, stack)


def _hold(stack: ExitStack, process: Owner) -> int | None:
    try:
        handle = os.pidfd_open(process.pid)
    except (OSError, AttributeError):
        return None
    stack.callback(os.close, handle)
    return handle if process.is_here() else None


def descendants(pid: int) -> list[int]:
    """Return the processes below this one, as far as their parents still live."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError, ValueError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found
