"""Conversion of watermarks, which are stored as text, to the form and precision of a date or time column.

Values are only ever rounded down, so that no row is skipped. A source that stores dates and times as text compares
them as text; for it the bound is the text that sorts lowest.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime, timedelta

from connections.sdk.errors import DataError
from connections.sdk.records import dataclass
from connections.sdk.types import Kind

_TIMESTAMP = re.compile(
    r"(?P<date>[+-]?[0-9]{4,6}-[0-9]{2}-[0-9]{2})"
    r"(?:[ T](?P<time>[0-9]{2}:[0-9]{2})(?P<seconds>:[0-9]{2})?(?:\.(?P<fraction>[0-9]{1,12}))?)?"
    r"(?: ?(?P<offset>Z|[+-][0-9]{2}(?::?[0-9]{2})?))?"
)
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,12})?)?")
_UTC = frozenset({"", "+00:00", "-00:00"})
# a timestamp that is later by this much has no earlier date in any time zone
_MAX_OFFSET = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp:
    """A date, or a date and time, as parts of its text.

    ``fraction`` are the digits after the decimal point of the seconds, without trailing zeros. ``offset`` is
    ``+HH:MM``, or empty. Unlike datetime it covers every year and up to twelve digits.
    """

    date: str
    time: str = "00:00:00"
    fraction: str = ""
    offset: str = ""

    @classmethod
    def parse(cls, text: str) -> Timestamp | None:
        """Return the parts of an ISO date or timestamp, None for other text."""
        match = _TIMESTAMP.fullmatch(text)
        if match is None:
            return None
        offset = match["offset"] or ""
        if offset:
            digits = re.sub("[^0-9]", "", offset).ljust(4, "0")
            offset = f"{'-' if offset[0] == '-' else '+'}{digits[:2]}:{digits[2:]}"
        time = f"{match['time']}{match['seconds'] or ':00'}" if match["time"] else "00:00:00"
        return cls(date=match["date"], time=time, fraction=(match["fraction"] or "").rstrip("0"), offset=offset)

    def text(self, digits: int = 12, *, separator: str = " ") -> str:
        """Return date and time without the offset, the fraction truncated to ``digits``."""
        fraction = self.fraction[:digits].rstrip("0")
        return f"{self.date}{separator}{self.time}" + (f".{fraction}" if fraction else "")

    def utc(self) -> Timestamp:
        """Return the timestamp in UTC, without an offset. One without an offset is taken to be in UTC.

        Raises DataError when the date is invalid or the result is outside the years 1 to 9999.
        """
        if self.offset in _UTC:
            return replace(self, offset="")
        sign = -1 if self.offset[0] == "-" else 1
        shift = timedelta(hours=int(self.offset[1:3]), minutes=int(self.offset[4:])) * sign
        try:
            shifted = datetime.fromisoformat(f"{self.date}T{self.time}") - shift
        except (ValueError, OverflowError):
            raise DataError(
                f"“{self.text()}{self.offset}” cannot be converted to UTC.", hint="Correct the watermark's value."
            ) from None
        year = f"{shifted:%Y}".rjust(4, "0")
        return replace(self, date=f"{year}-{shifted:%m-%d}", time=f"{shifted:%H:%M:%S}", offset="")


def converted_to(value: str, kind: Kind) -> str:
    """Return the text of a date or timestamp in the form of ``kind``; other text is returned unchanged.

    For a date the time is dropped, for a timestamp without time zone the offset, both after conversion to UTC, the
    time zone of every session.
    """
    timestamp = Timestamp.parse(value)
    if timestamp is None or kind not in (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        return value
    if kind is Kind.DATE:
        return timestamp.utc().date
    return timestamp.utc().text() if kind is Kind.TIMESTAMP else timestamp.text() + timestamp.offset


def lowest_spelling(value: str, kind: Kind) -> str | None:
    """Return a text that sorts at or below every text form of ``value`` and of any later value.

    ``kind`` is that of the column that ``value`` comes from. Returns None when ``value`` is not a time or timestamp.

    A blank sorts before ``T``. Zero seconds, minutes and times may be omitted, and the shorter text sorts first; a
    ``Z`` or a fraction only makes the text longer. Texts with UTC offsets do not sort by time: for these the bound is
    the day before, in UTC.
    """
    if _TIME.fullmatch(value):
        return _without_zeros(value)
    timestamp = Timestamp.parse(value)
    if timestamp is None or len(timestamp.date) != len("2026-01-31"):
        return None
    if kind is Kind.TIMESTAMPTZ or has_offset(value):
        return _day_before(timestamp)
    if timestamp.fraction:
        return timestamp.text()
    time = _without_zeros(timestamp.time).removesuffix(":00")
    return timestamp.date if time == "00" else f"{timestamp.date} {time}"


def has_offset(value: str) -> bool:
    """Return whether the text is a timestamp with a numeric UTC offset.

    True for +00:00 too, because other values of the same column may have another offset; False for Z.
    """
    timestamp = Timestamp.parse(value)
    return timestamp is not None and bool(timestamp.offset) and not value.endswith("Z")


def _without_zeros(time: str) -> str:
    # a time alone always has hours and minutes
    if "." in time:
        time = time.rstrip("0").removesuffix(".")
    return time.removesuffix(":00") if time.count(":") > 1 else time


def _day_before(timestamp: Timestamp) -> str | None:
    try:
        utc = date.fromisoformat(timestamp.utc().date)
    except ValueError:
        return None
    return (utc - _MAX_OFFSET if utc - date.min >= _MAX_OFFSET else utc).isoformat()
