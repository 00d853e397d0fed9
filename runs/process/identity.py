"""Identity of a process: machine, boot, pid and start time, enough to decide for certain that it has ended.

A pid alone is not enough: it is reused after a reboot, and by other processes while the machine is up. Start times are
the kernel's clock ticks and not those of psutil, which are times of day: those of a running process change when the
machine's clock is set, and every command would import psutil for its own.
"""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path
from typing import Any

from connections.sdk.records import dataclass

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MACHINE_ID = Path("/etc/machine-id")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """One process. ``started`` is in clock ticks since boot (proc(5), field 22 of stat), 0 where there is no /proc."""

    machine: str
    boot: str
    pid: int
    started: int

    def is_dead(self) -> bool:
        """Return whether the process has certainly ended; always False for a process of another machine."""
        here = current()
        if self.machine != here.machine:
            return False
        return self.boot != here.boot or not self._runs()

    def is_here(self) -> bool:
        """Return whether it is running on this machine, so that it can be signalled."""
        here = current()
        return (self.machine, self.boot) == (here.machine, here.boot) and self._runs()

    def _runs(self) -> bool:
        # -1: the process had ended before its identity was read
        return self.started >= 0 and started(self.pid) == self.started

    def as_fields(self) -> dict[str, Any]:
        """Return the identity as model fields (see `runs.models.process_mixin`)."""
        return {
            "host": self.machine.partition(":")[0],
            "machine_id": self.machine,
            "boot_id": self.boot,
            "pid": self.pid,
            "process_started": self.started,
        }


@cache
def current() -> ProcessIdentity:
    """Return the identity of this process (cached, so call it after any fork)."""
    return of_pid(os.getpid())


def of_pid(pid: int) -> ProcessIdentity:
    """Return the identity of a process of this machine."""
    return ProcessIdentity(machine=_machine(), boot=_boot(), pid=pid, started=started(pid))


def started(pid: int) -> int:
    """Return the start time of a process in clock ticks; -1 if it does not exist or is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except ProcessLookupError:
        # it ended after the file was opened
        return -1
    except FileNotFoundError:
        return -1 if Path("/proc/self").exists() or not _exists(pid) else 0
    # the command name, in parentheses, may contain parentheses and bytes that are not valid text
    fields = stat.rpartition(b")")[2].split()
    return -1 if fields[0] in (b"Z", b"X") else int(fields[19])


def _exists(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid)


def _boot() -> str:
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""


def _machine() -> str:
    machine_id = _MACHINE_ID.read_text().strip() if _MACHINE_ID.exists() else ""
    return f"{socket.gethostname()}:{machine_id}"
