"""Formats counts and sizes for messages: 1 row, 1,234 rows, 2.5 MB."""

from __future__ import annotations


def counted(number: int, noun: str = "row") -> str:
    """Return the number with thousands separators, and the noun in singular or plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(count: int) -> str:
    """Return a number of bytes in MB (10**6), or in kB (10**3) below 0.1 MB."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"
