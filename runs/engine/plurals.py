"""Numbers with their nouns, as messages write them: 1 row, 1,234 rows."""

from __future__ import annotations


def counted(number: int, noun: str = "row") -> str:
    """Return the number, its thousands apart, and the noun in singular or plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
