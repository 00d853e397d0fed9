"""Names the processes that hold POSIX locks on a file, where the system tells (Linux)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from connections.sdk.visible_text import one_line

_LOCKS, _PROCESSES = Path("/proc/locks"), Path("/proc")
# of several processes, so many are named
_NAMED = 3
# words of a line of /proc/locks
_WORDS = 8


def holders(path: Path, first: int, last: int, *, mode: str) -> list[int]:
    """Return the ids of other processes that hold locks on any byte from ``first`` to ``last``.

    ``mode`` is WRITE (exclusive) or READ (shared).
    """
    with suppress(OSError, ValueError):
        found = path.stat()
        place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        return sorted(set(_held(place, first, last, mode)) - {os.getpid()})
    return []


def named(pids: Sequence[int]) -> str:
    """Return how messages name the processes, "another process" when none is known."""
    shown = [f"process {pid}{_program(pid)}" for pid in pids[:_NAMED]]
    return " and ".join(shown) if shown else "another process"


def _held(place: str, first: int, last: int, mode: str) -> Iterator[int]:
    for line in _LOCKS.read_text().splitlines():
        # 1: POSIX  ADVISORY  WRITE 4711 08:01:123456 1073741824 1073741825; a line with -> is of one that waits
        words = line.split()
        if len(words) != _WORDS or words[1] != "POSIX" or words[3] != mode or words[5] != place:
            continue
        begin, end = int(words[6]), last if words[7] == "EOF" else int(words[7])
        # a process of another container has the id 0 here
        if begin <= last and end >= first and int(words[4]) > 0:
            yield int(words[4])


def _program(pid: int) -> str:
    with suppress(OSError):
        # the program's name; its arguments may hold secrets. A program may give itself any bytes as its name
        name = (_PROCESSES / str(pid) / "comm").read_bytes().decode("utf-8", "replace").strip()
        return f" ({one_line(name)})"
    return ""
