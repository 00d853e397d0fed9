"""Converts short forms such as `daily 04:00` to cron expressions, and cron expressions to sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from connections.sdk.errors import ConfigurationInvalid
from modules.cron.grammar import MACROS

_DAYS = {
    "sun": "Sundays",
    "mon": "Mondays",
    "tue": "Tuesdays",
    "wed": "Wednesdays",
    "thu": "Thursdays",
    "fri": "Fridays",
    "sat": "Saturdays",
}
_EXAMPLES = (
    "Write daily 00:00, hourly 2, weekly mon 00:00, monthly 1 00:00, or a cron expression such as “0 */2 * * *”."
)
_TIME = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)


def expression_of(words: Sequence[str]) -> str:
    """Return the cron expression of a short form. Raise ConfigurationInvalid; a full expression is not validated."""
    form, *rest = words
    if form in _FORMS:
        most, read = _FORMS[form]
        if len(rest) > most:
            raise ConfigurationInvalid(f"“{' '.join(words)}” has too many words.", hint=_EXAMPLES)
        return read(rest)
    if form.startswith("@") or len(" ".join(words).split()) == 5:
        return " ".join(" ".join(words).split())
    raise ConfigurationInvalid(f"“{' '.join(words)}” is not a schedule.", hint=_EXAMPLES)


def _daily(rest: list[str]) -> str:
    return f"{_time(rest[:1])} * * *"


def _hourly(rest: list[str]) -> str:
    every = _between(rest[0], 1, 23, "every how many hours") if rest else 1
    return "0 * * * *" if every == 1 else f"0 */{every} * * *"


def _weekly(rest: list[str]) -> str:
    day = (rest[0] if rest else "sun").lower()[:3]
    if day not in _DAYS or (rest and not _is_day(rest[0].lower(), day)):
        raise ConfigurationInvalid(f"“{rest[0]}” is not a weekday.", hint=f"Write one of {', '.join(_DAYS)}.")
    return f"{_time(rest[1:])} * * {day}"


def _is_day(word: str, day: str) -> bool:
    return word == day or word in (_DAYS[day].lower(), _DAYS[day].lower()[:-1])


def _monthly(rest: list[str]) -> str:
    day = _between(rest[0], 1, 31, "the day of the month") if rest else 1
    return f"{_time(rest[1:])} {day} * *"


_FORMS: dict[str, tuple[int, Callable[[list[str]], str]]] = {
    "daily": (1, _daily),
    "hourly": (1, _hourly),
    "weekly": (2, _weekly),
    "monthly": (2, _monthly),
}


def _time(rest: list[str]) -> str:
    """Return minute and hour as cron fields; midnight if no time is given."""
    text = rest[0] if rest else "00:00"
    match = _TIME.fullmatch(text)
    if not match or int(match[1]) > 23 or int(match[2]) > 59:
        raise ConfigurationInvalid(f"“{text}” is not a time of day.", hint="Write it from 00:00 to 23:59.")
    return f"{int(match[2])} {int(match[1])}"


def _between(text: str, least: int, most: int, what: str) -> int:
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
        raise ConfigurationInvalid(f"“{text}” is not {what}.", hint=f"Write a number from {least} to {most}.")
    return int(text)


def sentence(expression: str) -> str:
    """Return in words when the expression fires: a sentence for common forms, else a list of its fields."""
    fields = MACROS.get(expression, expression).lower().split()
    if len(fields) != 5:
        return expression
    minute, hour, *date = fields
    return f"{_clock(minute, hour)}, {_date(*date)}"


def _clock(minute: str, hour: str) -> str:
    if minute.isdecimal() and all(part.isdecimal() for part in hour.split(",")):
        return "at " + " and ".join(f"{int(part):02}:{int(minute):02}" for part in hour.split(","))
    minutes = _every(minute, "minute") or f"at minute {minute}"
    if hour == "*":
        return "every hour" if minute == "0" else minutes if minute.startswith("*") else f"{minutes} of every hour"
    hours = _every(hour, "hour")
    if hours:
        return hours if minute == "0" else f"{minutes}, {hours}"
    return f"{minutes}, in hours {hour}"


def _every(field: str, unit: str) -> str:
    if field == "*":
        return f"every {unit}"
    return f"every {field[2:]} {unit}s" if field.startswith("*/") and field[2:].isdecimal() else ""


def _date(day: str, month: str, weekday: str) -> str:
    either = "and" if day.startswith("*") or weekday.startswith("*") else "or"
    parts = [f"on day {day} of the month"] if day != "*" else []
    parts += [_weekdays(weekday)] if weekday != "*" else []
    text = f" {either} ".join(parts) or "every day"
    return text if month == "*" else f"{text}, in months {month}"


def _weekdays(field: str) -> str:
    names = list(_DAYS)
    single = [names[int(part) % 7] if part in "01234567" else part for part in field.split(",")]
    if all(part in _DAYS for part in single):
        return "on " + " and ".join(_DAYS[part] for part in single)
    return f"on weekdays {field}"
