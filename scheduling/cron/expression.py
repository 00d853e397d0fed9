"""When a cron expression fires: expression, zone and moment to slots. Pure, and daylight saving as in Debian's cron.

Fixed times (neither minute nor hour begins with ``*``) that the clock skips fire right after the gap, and in an hour
that comes twice they fire once. All others follow the clock on the wall, so that their intervals stay real.
"""

from __future__ import annotations

import datetime as dt
import itertools
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from django.core.exceptions import ValidationError

from connections.sdk.errors import ConfigurationInvalid
from modules import cron_expression

UTC = dt.UTC
MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_RANGES = (range(60), range(24), range(1, 32), range(1, 13), range(7))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NUMBERS = {name: number for number, name in enumerate(_MONTHS, 1)} | {
    name: number for number, name in enumerate(_WEEKDAYS)
}
_MINUTE = dt.timedelta(minutes=1)
_DAY = dt.timedelta(days=1)
# 29 February is at most eight years away
_HORIZON = dt.timedelta(days=366 * 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One time to fire. Whoever computes it finds the same key: wall time without fold, or for wildcards UTC minute."""

    at: dt.datetime
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    # 0 is Sunday
    weekdays: frozenset[int]
    # neither minute nor hour is a wildcard or a step of one
    fixed: bool
    # day and weekday must both fit; cron takes either when both are restricted
    both: bool

    def on(self, day: dt.date) -> bool:
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (by_day and by_weekday) if self.both else (by_day or by_weekday)


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Raise ConfigurationInvalid for what cron does not know."""
    try:
        cron_expression.check(text)
    except ValidationError as error:
        raise ConfigurationInvalid(error.messages[0], hint="Correct the cron expression.") from None
    written = MACROS.get(text, text).lower().split()
    try:
        fields = [_numbers(field, all_of) for field, all_of in zip(written, _RANGES, strict=True)]
    except ValueError as error:
        raise ConfigurationInvalid(f"“{text}” is not a cron expression: {error}.", hint="Correct it.") from None
    star = [field.startswith("*") for field in written]
    return Expression(
        minutes=fields[0],
        hours=fields[1],
        days=frozenset(fields[2]),
        months=frozenset(fields[3]),
        weekdays=frozenset(fields[4]),
        fixed=not (star[0] or star[1]),
        # as cron does it, */2 counts as unrestricted here
        both=star[2] or star[4],
    )


def zone_of(name: str) -> zoneinfo.ZoneInfo:
    """Raise ConfigurationInvalid for a zone this machine does not know (any more)."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise ConfigurationInvalid(
            f"This machine knows no time zone “{name}”.", hint="Give the schedule an IANA name, such as Europe/Berlin."
        ) from None


def slots(
    expression: Expression, zone: dt.tzinfo, *, after: dt.datetime, until: dt.datetime | None = None
) -> Iterator[Slot]:
    """Yield the slots later than ``after``, up to and with ``until``, in order."""
    until = until or after + _HORIZON
    found = _fixed(expression, zone, after, until) if expression.fixed else _wild(expression, zone, after, until)
    return itertools.takewhile(lambda slot: slot.at <= until, found)


def _numbers(field: str, all_of: range) -> tuple[int, ...]:
    return tuple(sorted({number for part in field.split(",") for number in _part(part, all_of)}))


def _part(part: str, all_of: range) -> Iterator[int]:
    span, _, step = part.partition("/")
    begin, dash, end = span.partition("-")
    first = all_of[0] if begin == "*" else _number(begin, all_of)
    # 5/10 goes on to the end
    last = _number(end, all_of) if dash else first if begin != "*" and not step else all_of[-1]
    for number in range(first, last + 1, int(step or 1)):
        yield all_of[0] + (number - all_of[0]) % len(all_of)


def _number(text: str, all_of: range) -> int:
    number = _NUMBERS[text] if text in _NUMBERS else int(text)
    # Sunday is 0 and 7
    if number not in all_of and (number, len(all_of)) != (7, 7):
        raise ValueError(f"{text} is not between {all_of[0]} and {all_of[-1]}")
    return number


def _fixed(expression: Expression, zone: dt.tzinfo, after: dt.datetime, until: dt.datetime) -> Iterator[Slot]:
    last: Slot | None = None
    for wall in _walls(expression, after.astimezone(zone).date(), until.astimezone(zone).date() + _DAY):
        slot = Slot(at=_moment(wall, zone), key=wall.isoformat(timespec="minutes"))
        # several times in one gap are one moment
        if last is not None and slot.at != last.at and last.at > after:
            yield last
        last = slot
    if last is not None and last.at > after:
        yield last


def _walls(expression: Expression, first: dt.date, final: dt.date) -> Iterator[dt.datetime]:
    for number in range((final - first).days + 1):
        day = first + dt.timedelta(days=number)
        if expression.on(day):
            for hour, minute in itertools.product(expression.hours, expression.minutes):
                yield dt.datetime(day.year, day.month, day.day, hour, minute)


def _moment(wall: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """Return when the wall clock first shows this, or for a time it never shows, when it has jumped over it."""
    aware = wall.replace(tzinfo=zone)
    moment = aware.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == wall:
        return moment
    before = aware.replace(fold=1).astimezone(UTC)
    while moment - before > _MINUTE:
        middle = before + (moment - before) // (2 * _MINUTE) * _MINUTE
        if middle.astimezone(zone).replace(tzinfo=None) > wall:
            moment = middle
        else:
            before = middle
    return moment


def _wild(expression: Expression, zone: dt.tzinfo, after: dt.datetime, until: dt.datetime) -> Iterator[Slot]:
    hours, minutes = frozenset(expression.hours), frozenset(expression.minutes)
    moment = after.astimezone(UTC).replace(second=0, microsecond=0) + _MINUTE
    while moment <= until:
        local = moment.astimezone(zone)
        if local.minute and local.minute not in minutes:
            # most minutes; whether day and hour fit is asked once an hour, and of those that could fire
            moment += _MINUTE
        elif not expression.on(local):
            moment = _leap(moment, zone, 1440 - local.hour * 60 - local.minute)
        elif local.hour not in hours:
            moment = _leap(moment, zone, 60 - local.minute)
        else:
            if local.minute in minutes:
                yield Slot(at=moment, key=f"{moment:%Y-%m-%dT%H:%M}Z")
            moment += _MINUTE


def _leap(moment: dt.datetime, zone: dt.tzinfo, minutes: int) -> dt.datetime:
    """Go forward, minute by minute where the clock changes on the way."""
    there = moment + minutes * _MINUTE
    same = moment.astimezone(zone).utcoffset() == there.astimezone(zone).utcoffset()
    return there if same else moment + _MINUTE
