"""Secrets files of the tests."""

from __future__ import annotations

from pathlib import Path


def write(file: Path, text: str) -> None:
    file.write_bytes(text.encode())
    file.chmod(0o600)
