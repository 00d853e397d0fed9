"""The counts of a transfer, and the comparison of the number of rows read with the number written."""

from __future__ import annotations

from connections.sdk.errors import CountMismatch
from connections.sdk.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferResult:
    """Rows as the source delivered them and as the destination counted them; ``size`` in bytes as transferred."""

    read: int
    written: int
    size: int


def check_counts(read: int, written: int) -> None:
    """Raise CountMismatch unless both counts are equal."""
    if read != written:
        raise CountMismatch(
            f"{read} rows were read, but the destination counted {written}; the write was rolled back.",
            hint="Run it again. If it fails again, look for a trigger or rule of the table that skips or adds rows.",
        )
