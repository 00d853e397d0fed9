"""Who runs a run: machine, boot, process and its start. Enough to say for certain that an owner is dead.

A process id alone says nothing: it is given again after a reboot, and to strangers while the machine is up.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MACHINE_ID = Path("/etc/machine-id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """One process. ``started`` is in clock ticks since boot (proc(5), field 22 of stat), 0 where there is no /proc."""

    machine: str
    boot: str
    pid: int
    started: int

    def is_dead(self) -> bool:
        """Whether the process has certainly ended; always False for another machine's, of which nothing is known."""
        here = current()
        if self.machine != here.machine:
            return False
        return self.boot != here.boot or not self._runs()

    def is_here(self) -> bool:
        """Whether it is a process of this machine and boot that still runs: one that can be signalled."""
        here = current()
        return (self.machine, self.boot) == (here.machine, here.boot) and self._runs()

    def _runs(self) -> bool:
        # one that had ended when it was looked at has no start
        return self.started >= 0 and started(self.pid) == self.started

    def as_fields(self) -> dict[str, Any]:
        """Return the owner as the fields of a row (see `runs.models.process_mixin`)."""
        return {
            "host": self.machine.partition(":")[0],
            "machine_id": self.machine,
            "boot_id": self.boot,
            "pid": self.pid,
            "process_started": self.started,
        }


@cache
def current() -> Owner:
    """Return this process (cached: call it in the process that is meant)."""
    return of_pid(os.getpid())


def of_pid(pid: int) -> Owner:
    """Return a process of this machine."""
    return Owner(machine=_machine(), boot=_boot(), pid=pid, started=started(pid))


def started(pid: int) -> int:
    """Return a process's start, -1 when it does not exist or is a zombie that only waits to be collected."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except ProcessLookupError:
        # it ended between the opening and the reading
        return -1
    except FileNotFoundError:
        return -1 if Path("/proc/self").exists() else _alive(pid)
    # the command name, in brackets, may hold anything, brackets and bytes that are no text included
    fields = stat.rpartition(b")")[2].split()
    return -1 if fields[0] in (b"Z", b"X") else int(fields[19])


def _alive(pid: int) -> int:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return -1
    except PermissionError:
        return 0
    return 0


def _boot() -> str:
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""


def _machine() -> str:
    found = _MACHINE_ID.read_text().strip() if _MACHINE_ID.exists() else ""
    return f"{socket.gethostname()}:{found}"
