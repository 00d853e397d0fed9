"""Rows read must be rows written."""

from __future__ import annotations

from connections.sdk.errors import CountMismatch


def check_counts(read: int, written: int) -> None:
    """Raise CountMismatch unless both sides counted the same."""
    if read != written:
        raise CountMismatch(
            f"{read} rows were read, but the destination counted {written}; nothing was kept.",
            hint="Run it again. When it happens again, a trigger or rule of the table, or a fault, changes the number.",
        )
