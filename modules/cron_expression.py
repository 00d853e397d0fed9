"""Whether a text is a cron expression that ever comes round: exactly five fields, or one of the known macros."""

from __future__ import annotations

import datetime as dt
import re

from croniter import croniter
from croniter.croniter import CroniterError
from django.core.exceptions import ValidationError

MACROS = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_EXAMPLE = "Write minute, hour, day, month and weekday, such as 0 4 * * * for four every morning."
# what cron knows; croniter would also take R and H (random), L and # (last, n-th) and years
_NAMES = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat"
_FIELD = re.compile(rf"(?:[0-9*,/-]|{_NAMES})+", re.IGNORECASE)


def check(text: str) -> None:
    """Raise ValidationError that says what is wrong with the expression."""
    if text in MACROS:
        return
    if text.startswith("@"):
        raise ValidationError(f"“{text}” is not known. The short forms are {', '.join(MACROS)}.")
    fields = text.split()
    if len(fields) != 5:
        raise ValidationError(f"“{text}” has {len(fields)} fields; a cron expression has five. {_EXAMPLE}")
    for field in fields:
        if not _FIELD.fullmatch(field):
            raise ValidationError(f"“{field}” in “{text}” is not something cron knows. {_EXAMPLE}")
    try:
        if not croniter.is_valid(text):
            raise ValidationError(f"“{text}” is not a cron expression: a number is out of range. {_EXAMPLE}")
        # any start will do; a leap day is at most eight years away
        croniter(text, dt.datetime(2024, 1, 1), max_years_between_matches=9).get_next()
    except CroniterError:
        raise ValidationError(f"“{text}” never comes round: no such day exists. {_EXAMPLE}") from None
