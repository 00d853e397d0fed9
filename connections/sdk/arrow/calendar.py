"""Text form of dates and times of any year. Python's datetime types cover only the years 1 to 9999.

The format is that of PostgreSQL: ISO 8601, with a ``BC`` suffix for years before 1, and ``infinity``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_DAY = 86_400_000_000
_INFINITE = {2**31 - 1: "infinity", 1 - 2**31: "-infinity", 2**63 - 1: "infinity", 1 - 2**63: "-infinity"}


def calendar_texts(array: pa.Array) -> list[str | None]:
    """Return the text of each value of a date, time or timestamp array; zoned timestamps end in ``+00``.

    Raises ArrowInvalid for a value with nanoseconds.
    """
    import pyarrow as pa

    kind = array.type
    if pa.types.is_date32(kind):
        days = array.cast(pa.int32()).to_pylist()
        return [None if n is None else _INFINITE.get(n) or timestamp_text(n) for n in days]
    counts = array.cast(pa.time64("us") if pa.types.is_time(kind) else pa.timestamp("us", tz=kind.tz)).cast(pa.int64())
    if pa.types.is_time(kind):
        return [None if n is None else time_text(n) for n in counts.to_pylist()]
    zone = "+00" if kind.tz else ""
    return [
        None if n is None else _INFINITE.get(n) or timestamp_text(*divmod(n, _DAY), zone=zone)
        for n in counts.to_pylist()
    ]


def calendar_text(array: pa.Array) -> str | None:
    """Return the text of the first value, including nanoseconds."""
    import pyarrow as pa

    try:
        return calendar_texts(array.slice(0, 1))[0]
    except pa.ArrowInvalid:
        return str(array.slice(0, 1).cast(pa.string())[0].as_py())


def timestamp_text(days: int, micros: int | None = None, *, zone: str = "") -> str:
    """Return the ISO text of a date (``days`` since 1970-01-01) and, if given, a time (``micros`` since midnight).

    The calendar is proleptic Gregorian.
    """
    # count from 0000-03-01, so that a leap day is the last day of its year
    era, day = divmod(days + 719_468, 146_097)
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5 - 1
    year += era * 400 + (month > 9)
    before = " BC" if year < 1 else ""
    text = f"{1 - year if before else year:04}-{month + 3 if month < 10 else month - 9:02}-{day:02}"
    return f"{text}{'' if micros is None else ' ' + time_text(micros)}{zone}{before}"


def time_text(micros: int) -> str:
    """Return the text of a time of day given in microseconds since midnight."""
    seconds, fraction = divmod(micros, 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:06}".rstrip("0") if fraction else text
