"""Processes that hold locks on a file are named whatever they call themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connections.sdk.files import lock_holders

pytestmark = pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux tells who holds a lock")

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "wb")
fcntl.lockf(file, fcntl.LOCK_EX, 1, 100)
open("/proc/self/comm", "wb").write(bytes.fromhex(sys.argv[2]))
print("held", flush=True)
input()
"""


@contextmanager
def holder(path: Path, name: bytes) -> Iterator[int]:
    """Lock byte 100 of the file in a process with the name."""
    command = [sys.executable, "-c", HOLD, str(path), name.hex()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        try:
            yield child.pid
        finally:
            child.kill()


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"loader", "loader"), (b"caf\xe9", "caf\ufffd"), (b"a\x1b[2J\nb", "a\u241b[2J\u2424b")],
    ids=["a word", "no UTF-8", "control characters"],
)
def test_a_process_is_named_whatever_bytes_are_its_name(tmp_path: Path, name: bytes, shown: str) -> None:
    path = tmp_path / "file"
    with holder(path, name) as pid:
        found = lock_holders.holders(path, 100, 100, mode="WRITE")
        assert found == [pid]
        assert lock_holders.describe(found) == f"process {pid} ({shown})"
        assert lock_holders.holders(path, 101, 200, mode="WRITE") == []


def test_lines_of_another_form_hide_no_other_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, locks = tmp_path / "file", tmp_path / "locks"
    path.touch()
    found = path.stat()
    place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    held = f"POSIX  ADVISORY  WRITE {{}} {place} 0 EOF"
    locks.write_text(f"\n1:\n2: LEASE\n3: -> {held.format(7)}\n4: {held.format(8)}\n5: {held.format(0)}\n")
    monkeypatch.setattr(lock_holders, "_LOCKS", locks)
    assert lock_holders.holders(path, 5, 9, mode="WRITE") == [8]
