"""Validates the overlap of a module, a number or an interval: how much is read again below the watermark."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\d+(\.\d+)?")
_PART = r"\d+(\.\d+)?\s*(microsecond|second|minute|hour|day|week)s?"
_INTERVAL = re.compile(rf"{_PART}((\s+|\s*,\s*|\s+and\s+){_PART})*", re.IGNORECASE)


def problem(text: str) -> str:
    """Return an error message, or an empty string if the overlap is valid."""
    if _NUMBER.fullmatch(text.strip()) or _INTERVAL.fullmatch(text.strip()):
        return ""
    return (
        f"“{text}” is neither a number nor an interval. Write 1000 for a numeric watermark; 2 days, or 1 hour 30 "
        "minutes, for one of dates or times; months and years have no fixed length."
    )
