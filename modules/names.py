"""Parses comma-separated lists of column names."""

from __future__ import annotations


def split_names(text: str) -> tuple[str, ...]:
    """Return the names in ``a, b``, stripped; empty for an empty text."""
    return tuple(name for part in text.split(",") if (name := part.strip()))
