"""The overlap of a module: a number or an interval by which runs read again below the watermark."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

_NUMBER = re.compile(r"\d+(\.\d+)?")
_PART = r"(\d+(?:\.\d+)?)\s*(microsecond|second|minute|hour|day|week)s?"
_PARTS = re.compile(_PART, re.IGNORECASE)
_INTERVAL = re.compile(rf"{_PART}((\s+|\s*,\s*|\s+and\s+){_PART})*", re.IGNORECASE)


def overlap_number(text: str) -> Decimal | None:
    """Return the overlap as a number of at least 0, or None if it is not one."""
    text = text.strip()
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def overlap_interval(text: str) -> dt.timedelta | None:
    """Return the overlap as an interval such as ``2 days`` or ``1 hour 30 minutes``, or None if it is not one.

    Raises OverflowError for one of more than a billion days.
    """
    if not _INTERVAL.fullmatch(text.strip()):
        return None
    parts = (dt.timedelta(**{f"{unit.lower()}s": float(count)}) for count, unit in _PARTS.findall(text))
    return sum(parts, dt.timedelta())


def overlap_problem(text: str) -> str:
    """Return an error message, or an empty string if the overlap is valid."""
    if _NUMBER.fullmatch(text.strip()):
        return ""
    try:
        length = overlap_interval(text)
    except OverflowError:
        length = dt.timedelta.max
    if length is not None:
        if length <= dt.datetime.now() - dt.datetime.min:
            return ""
        return f"“{text}” is so long that runs would begin before the year 1. Write a shorter one."
    return (
        f"“{text}” is neither a number nor an interval. Write 1000 for a numeric watermark; 2 days, or 1 hour 30 "
        "minutes, for one of dates or times; months and years have no fixed length."
    )
