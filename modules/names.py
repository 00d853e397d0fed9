"""Lists of column names as an operator writes them: separated by commas."""

from __future__ import annotations


def split_names(text: str) -> tuple[str, ...]:
    """Return the names of ``a, b`` without the blanks around them; empty for an empty text."""
    return tuple(name for part in text.split(",") if (name := part.strip()))
