"""The counts that a transfer reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferResult:
    """Rows as the source delivered them and as the destination counted them; ``size`` in bytes as transferred."""

    read: int
    written: int
    size: int
