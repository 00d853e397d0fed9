"""Disks that are small enough to be filled: tmpfs mounts, where mounting is permitted."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(size: str) -> Iterator[Path]:
    """Mount a disk of this size for the block. Skips the test, with the reason, where mounting is not permitted."""
    directory = Path(tempfile.mkdtemp(prefix="pk-disk-"))
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)], capture_output=True, text=True
    )
    if mount.returncode:
        directory.rmdir()
        pytest.skip(f"mounting a tmpfs is not allowed here: {mount.stderr.strip()}")
    try:
        yield directory
    finally:
        # lazy, because a server may still have a file open there
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
        directory.rmdir()
