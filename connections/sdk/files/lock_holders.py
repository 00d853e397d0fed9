"""Finds the processes that hold POSIX locks on a file, by /proc/locks (Linux only)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from connections.sdk.formatting import one_line

_LOCKS, _PROCESSES = Path("/proc/locks"), Path("/proc")
# number of processes that a message names
_MAX_NAMED = 3
# number of fields in a line of /proc/locks
_FIELDS = 8


def holders(path: Path, first: int, last: int, *, mode: str) -> list[int]:
    """Return the ids of other processes that hold locks on any byte from ``first`` to ``last``.

    ``mode`` is WRITE (exclusive) or READ (shared). Returns nothing where the system does not provide the information.
    """
    with suppress(OSError, ValueError):
        status = path.stat()
        file_id = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        return sorted(set(_locking_pids(file_id, first, last, mode)) - {os.getpid()})
    return []


def describe(pids: Sequence[int]) -> str:
    """Return the processes as named in messages; "another process" when none is known."""
    names = [f"process {pid}{_program(pid)}" for pid in pids[:_MAX_NAMED]]
    return " and ".join(names) if names else "another process"


def _locking_pids(file_id: str, first: int, last: int, mode: str) -> Iterator[int]:
    for line in _LOCKS.read_text().splitlines():
        # 1: POSIX  ADVISORY  WRITE 4711 08:01:123456 1073741824 1073741825
        # lines of waiting processes have a -> as an additional field
        fields = line.split()
        if len(fields) != _FIELDS or fields[1] != "POSIX" or fields[3] != mode or fields[5] != file_id:
            continue
        begin, end = int(fields[6]), last if fields[7] == "EOF" else int(fields[7])
        # processes of other containers have the id 0
        if begin <= last and end >= first and int(fields[4]) > 0:
            yield int(fields[4])


def _program(pid: int) -> str:
    with suppress(OSError):
        # not the command line, whose arguments may contain secrets; the name may be any bytes
        name = (_PROCESSES / str(pid) / "comm").read_bytes().decode("utf-8", "replace").strip()
        return f" ({one_line(name)})"
    return ""
