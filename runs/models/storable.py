"""Escapes characters that the metadata database cannot store."""

from __future__ import annotations

from typing import Any


def storable(value: Any) -> Any:
    """Escape characters that a metadata database cannot store, also within lists and dictionaries.

    These are NUL (PostgreSQL) and lone surrogates (all databases).
    """
    if isinstance(value, str):
        return value.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value
