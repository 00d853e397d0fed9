"""Date and time texts of watermarks, taken to the form and precision of one column: always down, never up.

Where a source keeps dates and times as text it compares their spelling, so a bound is the lowest spelling there is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from connections.sdk.errors import DataError
from connections.sdk.sql.types import Kind

_MOMENT = re.compile(
    r"(?P<date>[+-]?[0-9]{4,6}-[0-9]{2}-[0-9]{2})"
    r"(?:[ T](?P<time>[0-9]{2}:[0-9]{2})(?P<seconds>:[0-9]{2})?(?:\.(?P<fraction>[0-9]{1,12}))?)?"
    r"(?: ?(?P<offset>Z|[+-][0-9]{2}(?::?[0-9]{2})?))?"
)
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,12})?)?")
_UTC = frozenset({"", "+00:00", "-00:00"})
# nothing that is at least this much later is written, in any zone, as an earlier date
_ZONES = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A date, or a date and time, as text parts. ``fraction`` are digits of a second, ``offset`` is ``+HH:MM``."""

    date: str
    time: str = "00:00:00"
    fraction: str = ""
    offset: str = ""

    @classmethod
    def parse(cls, text: str) -> Moment | None:
        found = _MOMENT.fullmatch(text)
        if found is None:
            return None
        offset = found["offset"] or ""
        if offset:
            digits = re.sub("[^0-9]", "", offset).ljust(4, "0")
            offset = f"{'-' if offset[0] == '-' else '+'}{digits[:2]}:{digits[2:]}"
        time = f"{found['time']}{found['seconds'] or ':00'}" if found["time"] else "00:00:00"
        return cls(date=found["date"], time=time, fraction=(found["fraction"] or "").rstrip("0"), offset=offset)

    def text(self, digits: int = 12, *, separator: str = " ") -> str:
        """Return date and time without offset, the fraction cut (never rounded) to ``digits``."""
        fraction = self.fraction[:digits].rstrip("0")
        return f"{self.date}{separator}{self.time}" + (f".{fraction}" if fraction else "")

    def utc(self) -> Moment:
        """Return the same moment in UTC, without an offset; one without an offset is taken to be in UTC.

        Raises DataError when the calendar cannot do the sum.
        """
        if self.offset in _UTC:
            return replace(self, offset="")
        sign = -1 if self.offset[0] == "-" else 1
        shift = timedelta(hours=int(self.offset[1:3]), minutes=int(self.offset[4:])) * sign
        try:
            moved = datetime.fromisoformat(f"{self.date}T{self.time}") - shift
        except (ValueError, OverflowError):
            raise DataError(
                f"“{self.text()}{self.offset}” cannot be converted to UTC.", hint="Correct the watermark's value."
            ) from None
        return replace(self, date=f"{moved:%Y}".rjust(4, "0") + f"{moved:-%m-%d}", time=f"{moved:%H:%M:%S}", offset="")


def fitted(value: str, kind: Kind) -> str:
    """Return a date or time text in the form of ``kind``: a moment loses its time for a date, its offset (after going
    to UTC, the zone of every session) for a timestamp without one. Text that is no moment comes back as it is.
    """
    moment = Moment.parse(value)
    if moment is None or kind not in (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        return value
    if kind is Kind.DATE:
        return moment.utc().date
    return moment.utc().text() if kind is Kind.TIMESTAMP else moment.text() + moment.offset


def lowest_spelling(value: str, kind: Kind) -> str | None:
    """Return a text that sorts at or below every spelling of a time or timestamp and of all later ones, if it is one.

    ``kind`` is the meaning of the column that ``value`` comes from. A blank sorts before the T; seconds, minutes and
    midnight may be left out, and a shorter text sorts before; a Z or a fraction only makes it longer. With offsets
    the order of the texts is not the order of time: the bound is then the day before, in UTC.
    """
    if _TIME.fullmatch(value):
        return _without_zeros(value)
    moment = Moment.parse(value)
    if moment is None or len(moment.date) != len("2026-01-31"):
        return None
    if kind is Kind.TIMESTAMPTZ or has_offset(value):
        return _day_before(moment)
    if moment.fraction:
        return moment.text()
    time = _without_zeros(moment.time).removesuffix(":00")
    return moment.date if time == "00" else f"{moment.date} {time}"


def has_offset(value: str) -> bool:
    """Whether the text is a moment with hours of offset, be they none: others of its kind may have some."""
    moment = Moment.parse(value)
    return moment is not None and bool(moment.offset) and not value.endswith("Z")


def _without_zeros(time: str) -> str:
    # hours and minutes are always written where a time stands alone
    if "." in time:
        time = time.rstrip("0").removesuffix(".")
    return time.removesuffix(":00") if time.count(":") > 1 else time


def _day_before(moment: Moment) -> str | None:
    try:
        utc = date.fromisoformat(moment.utc().date)
    except ValueError:
        return None
    return (utc - _ZONES if utc - date.min >= _ZONES else utc).isoformat()
