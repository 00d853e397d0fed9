"""Computes the slots of a cron expression in a time zone. Pure functions; daylight saving as in Debian's cron.

Fixed times (neither minute nor hour begins with ``*``) within a skipped hour fire right after the gap, and within a
repeated hour they fire once. All others follow the local clock, so their intervals stay the same in real time.
"""

from __future__ import annotations

import datetime as dt
import itertools
import zoneinfo
from collections.abc import Iterator
from functools import lru_cache

from django.core.exceptions import ValidationError

from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.records import dataclass
from modules.cron import grammar
from modules.cron.grammar import FIELDS, MACROS, Field

UTC = dt.UTC
_MINUTE = dt.timedelta(minutes=1)
_DAY = dt.timedelta(days=1)
# 29 February is at most eight years away
_HORIZON = dt.timedelta(days=366 * 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A time at which an expression fires. ``key`` is the local time without fold, or for wildcards the UTC minute."""

    at: dt.datetime
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A parsed cron expression."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    # 0 is Sunday
    weekdays: frozenset[int]
    # neither minute nor hour begins with a wildcard
    fixed: bool
    # day and weekday must both match; if both are restricted, cron fires if either does
    both: bool

    def on(self, day: dt.date) -> bool:
        """Return whether the expression fires on this day."""
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (by_day and by_weekday) if self.both else (by_day or by_weekday)


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Parse an expression or macro. Raise ConfigurationInvalid for anything that cron would not accept."""
    try:
        grammar.check(text)
    except ValidationError as error:
        raise ConfigurationInvalid(error.messages[0], hint="Correct the cron expression.") from None
    texts = MACROS.get(text, text).lower().split()
    try:
        fields = [_numbers(content, field) for content, field in zip(texts, FIELDS, strict=True)]
    except ValueError as error:
        raise ConfigurationInvalid(f"“{text}” is not a cron expression: {error}.", hint="Correct it.") from None
    star = [content.startswith("*") for content in texts]
    return Expression(
        minutes=fields[0],
        hours=fields[1],
        days=frozenset(fields[2]),
        months=frozenset(fields[3]),
        weekdays=frozenset(fields[4]),
        fixed=not (star[0] or star[1]),
        # as in cron, */2 counts as unrestricted
        both=star[2] or star[4],
    )


def zone_of(name: str) -> zoneinfo.ZoneInfo:
    """Return a time zone. Raise ConfigurationInvalid if this machine does not have it."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise ConfigurationInvalid(
            f"This machine knows no time zone “{name}”.", hint="Use an IANA name, such as Europe/Berlin."
        ) from None


def slots(
    expression: Expression, zone: dt.tzinfo, *, after: dt.datetime, until: dt.datetime | None = None
) -> Iterator[Slot]:
    """Yield the slots after ``after``, up to and including ``until`` (default: about nine years), in order."""
    until = until or after + _HORIZON
    every = _fixed(expression, zone, after, until) if expression.fixed else _wildcard(expression, zone, after, until)
    return itertools.takewhile(lambda slot: slot.at <= until, every)


def _numbers(content: str, field: Field) -> tuple[int, ...]:
    return tuple(sorted({number for part in content.split(",") for number in _part(part, field)}))


def _part(part: str, field: Field) -> Iterator[int]:
    all_of = field.numbers
    span, _, step = part.partition("/")
    begin, dash, end = span.partition("-")
    first = all_of[0] if begin == "*" else _number(begin, field)
    # 5/10 means 5-last/10
    last = _number(end, field) if dash else first if begin != "*" and not step else all_of[-1]
    for number in range(first, last + 1, int(step or 1)):
        yield all_of[0] + (number - all_of[0]) % len(all_of)


def _number(text: str, field: Field) -> int:
    number, all_of = field.number(text), field.numbers
    # Sunday is 0 and 7
    if number not in all_of and (number, len(all_of)) != (7, 7):
        raise ValueError(f"{text} is not between {all_of[0]} and {all_of[-1]}")
    return number


def _fixed(expression: Expression, zone: dt.tzinfo, after: dt.datetime, until: dt.datetime) -> Iterator[Slot]:
    last: Slot | None = None
    for local in _local_times(expression, after.astimezone(zone).date(), until.astimezone(zone).date() + _DAY):
        slot = Slot(at=_instant(local, zone), key=local.isoformat(timespec="minutes"))
        # all times within one gap fire once, after it
        if last is not None and slot.at != last.at and last.at > after:
            yield last
        last = slot
    if last is not None and last.at > after:
        yield last


def _local_times(expression: Expression, first: dt.date, final: dt.date) -> Iterator[dt.datetime]:
    for number in range((final - first).days + 1):
        day = first + dt.timedelta(days=number)
        if expression.on(day):
            for hour, minute in itertools.product(expression.hours, expression.minutes):
                yield dt.datetime(day.year, day.month, day.day, hour, minute)


def _instant(local: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """Return the UTC time at which the local clock first shows this time, or if it skips it, the end of the gap."""
    aware = local.replace(tzinfo=zone)
    instant = aware.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return instant
    before = aware.replace(fold=1).astimezone(UTC)
    while instant - before > _MINUTE:
        middle = before + (instant - before) // (2 * _MINUTE) * _MINUTE
        if middle.astimezone(zone).replace(tzinfo=None) > local:
            instant = middle
        else:
            before = middle
    return instant


def _wildcard(expression: Expression, zone: dt.tzinfo, after: dt.datetime, until: dt.datetime) -> Iterator[Slot]:
    hours, minutes = frozenset(expression.hours), frozenset(expression.minutes)
    instant = after.astimezone(UTC).replace(second=0, microsecond=0) + _MINUTE
    while instant <= until:
        local = instant.astimezone(zone)
        if local.minute and local.minute not in minutes:
            # skips most minutes cheaply: day and hour are checked once an hour, and for minutes that match
            instant += _MINUTE
        elif not expression.on(local):
            instant = _advance(instant, zone, 1440 - local.hour * 60 - local.minute)
        elif local.hour not in hours:
            instant = _advance(instant, zone, 60 - local.minute)
        else:
            if local.minute in minutes:
                yield Slot(at=instant, key=f"{instant:%Y-%m-%dT%H:%M}Z")
            instant += _MINUTE


def _advance(instant: dt.datetime, zone: dt.tzinfo, minutes: int) -> dt.datetime:
    """Return the time some minutes later, or only one minute later if the UTC offset changes in between."""
    later = instant + minutes * _MINUTE
    is_same_offset = instant.astimezone(zone).utcoffset() == later.astimezone(zone).utcoffset()
    return later if is_same_offset else instant + _MINUTE
