"""Finding and naming the processes that hold locks on a file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connections.sdk.files import lock_holders

pytestmark = pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux lists the holders of locks")

LOCK = """
import fcntl, sys
file = open(sys.argv[1], "wb")
fcntl.lockf(file, fcntl.LOCK_EX, 1, 100)
open("/proc/self/comm", "wb").write(bytes.fromhex(sys.argv[2]))
print("locked", flush=True)
input()
"""


@contextmanager
def locking_process(path: Path, name: bytes) -> Iterator[int]:
    """Start a process with the name ``name`` that locks byte 100 of the file; yield its pid."""
    command = [sys.executable, "-c", LOCK, str(path), name.hex()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "locked\n"
        try:
            yield child.pid
        finally:
            child.kill()


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"loader", "loader"), (b"caf\xe9", "caf\ufffd"), (b"a\x1b[2J\nb", "a\u241b[2J\u2424b")],
    ids=["word", "invalid UTF-8", "control characters"],
)
def test_the_name_of_a_lock_holder_may_have_any_bytes(tmp_path: Path, name: bytes, shown: str) -> None:
    path = tmp_path / "file"
    with locking_process(path, name) as pid:
        holders = lock_holders.holders(path, 100, 100, mode="WRITE")
        assert holders == [pid]
        assert lock_holders.describe(holders) == f"process {pid} ({shown})"
        assert lock_holders.holders(path, 101, 200, mode="WRITE") == []


def test_waiting_and_malformed_lines_of_proc_locks_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, locks = tmp_path / "file", tmp_path / "locks"
    path.touch()
    status = path.stat()
    inode = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    lock = f"POSIX  ADVISORY  WRITE {{}} {inode} 0 EOF"
    locks.write_text(f"\n1:\n2: LEASE\n3: -> {lock.format(7)}\n4: {lock.format(8)}\n5: {lock.format(0)}\n")
    monkeypatch.setattr(lock_holders, "_LOCKS", locks)
    assert lock_holders.holders(path, 5, 9, mode="WRITE") == [8]
