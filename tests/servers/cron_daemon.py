"""A reference implementation of slots: a cron daemon that checks every minute of the wall clock.

It shares no code with the product: it parses the expression itself, and like Debian's cron it knows of daylight saving
time only that the wall clock has jumped.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterator
from functools import lru_cache

MINUTE = dt.timedelta(minutes=1)
# minutes by which a clock is set back at most
_MAX_SET_BACK = 6 * 60
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMES = {name: number for number, name in enumerate(_MONTHS, 1)}
_NAMES |= {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}


def matches(expression: str, wall: dt.datetime) -> bool:
    """Return whether the expression matches a minute of the wall clock."""
    minute, hour, day, month, weekday = expression.split()
    if not (_in(minute, wall.minute, 0, 59) and _in(hour, wall.hour, 0, 23) and _in(month, wall.month, 1, 12)):
        return False
    today = wall.isoweekday()
    by_day, by_weekday = _in(day, wall.day, 1, 31), _in(weekday, today, 0, 7) or (today == 7 and _in(weekday, 0, 0, 7))
    if day.startswith("*") or weekday.startswith("*"):
        return by_day and by_weekday
    return by_day or by_weekday


@lru_cache(maxsize=100_000)
def _in(field: str, value: int, low: int, high: int) -> bool:
    return any(_in_part(part, value, low, high) for part in field.lower().split(","))


def _in_part(part: str, value: int, low: int, high: int) -> bool:
    values, _, step = part.partition("/")
    if values == "*":
        first, last = low, high
    else:
        start, _, end = values.partition("-")
        first = _number(start)
        last = _number(end) if end else first
    return first <= value <= last and (value - first) % int(step or 1) == 0


def _number(text: str) -> int:
    return _NAMES[text] if text in _NAMES else int(text)


def fires(expression: str, zone_name: str, start: dt.datetime, end: dt.datetime) -> Iterator[dt.datetime]:
    """Yield every minute after ``start``, up to and including ``end``, in which the daemon starts the job."""
    zone = zoneinfo.ZoneInfo(zone_name)
    minute, hour = expression.split()[:2]
    wildcard = minute.startswith("*") or hour.startswith("*")
    # minutes that the wall clock has shown have fired, even if it has been set back since
    reached = max((start - minutes * MINUTE).astimezone(zone).replace(tzinfo=None) for minutes in range(_MAX_SET_BACK))
    now = start
    while now < end:
        now += MINUTE
        wall = now.astimezone(zone).replace(tzinfo=None)
        if wildcard:
            due = matches(expression, wall)
        else:
            # every minute that the wall clock has not shown before, including those that it skipped
            due = False
            while reached < wall:
                reached += MINUTE
                due = due or matches(expression, reached)
        if due:
            yield now


def transitions(zone_name: str, first_year: int, last_year: int) -> list[dt.datetime]:
    """Return the minutes at which the zone's offset changes."""
    zone = zoneinfo.ZoneInfo(zone_name)
    hour, end = dt.datetime(first_year, 1, 1, tzinfo=dt.UTC), dt.datetime(last_year + 1, 1, 1, tzinfo=dt.UTC)
    minutes = []
    offset = hour.astimezone(zone).utcoffset()
    while hour < end:
        next_hour = hour + 60 * MINUTE
        if next_hour.astimezone(zone).utcoffset() != offset:
            minute = hour
            while minute.astimezone(zone).utcoffset() == offset:
                minute += MINUTE
            minutes.append(minute)
            offset = next_hour.astimezone(zone).utcoffset()
        hour = next_hour
    return minutes
