"""Numbers with their nouns, as messages write them: 1 row, 1,234 rows."""

from __future__ import annotations


def counted(number: int, noun: str = "row") -> str:
    """Return the number, its thousands apart, and the noun in singular or plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(count: int) -> str:
    """Return a number of bytes in MB, and in kB where that would be nearly none; of 1,000 each."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"
