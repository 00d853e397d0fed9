"""What a transfer moved."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Rows as the source delivered them and as the destination counted them, bytes as they travelled."""

    read: int
    written: int
    size: int
