"""Disks of a test's own, so small that they can be filled: tmpfs mounts, where mounting is allowed."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(size: str) -> Iterator[Path]:
    """Mount a disk of that size for the block; skips the test, with the reason, where mounting is not allowed."""
    directory = Path(tempfile.mkdtemp(prefix="pk-disk-"))
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)], capture_output=True, text=True
    )
    if done.returncode:
        directory.rmdir()
        pytest.skip(f"mounting a tmpfs is not allowed here: {done.stderr.strip()}")
    try:
        yield directory
    finally:
        # lazily: a server that still has a file open there must not keep it mounted
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
        directory.rmdir()
