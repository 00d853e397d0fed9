"""The grammar of cron expressions: exactly five fields or a known macro, matching at least one date."""

from __future__ import annotations

import datetime as dt
import re

from django.core.exceptions import ValidationError

from connections.sdk.records import dataclass

# macro -> the expression it stands for
MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_EXAMPLE = "Write minute, hour, day, month and weekday, such as 0 4 * * * for four every morning."
# what cron accepts; croniter would also accept R and H (random), L and # (last, n-th) and years
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_CONTENT = re.compile(rf"(?:[0-9*,/-]|{'|'.join(_MONTHS + _WEEKDAYS)})+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Field:
    """The numbers that a field may contain, and their names if they have some."""

    numbers: range
    names: tuple[str, ...] = ()

    def number(self, word: str) -> int:
        """Return the number of a name or of digits, which may be outside ``numbers``."""
        return self.numbers[self.names.index(word)] if word in self.names else int(word)


# minute, hour, day, month, weekday
FIELDS = (
    Field(range(60)),
    Field(range(24)),
    Field(range(1, 32)),
    Field(range(1, 13), _MONTHS),
    Field(range(7), _WEEKDAYS),
)


def check(text: str) -> None:
    """Raise ValidationError if the text is not a valid cron expression; a model field validator."""
    if text in MACROS:
        return
    if text.startswith("@"):
        raise ValidationError(f"“{text}” is not known. The short forms are {', '.join(MACROS)}.")
    fields = text.split()
    if len(fields) != 5:
        raise ValidationError(f"“{text}” has {len(fields)} fields; a cron expression has five. {_EXAMPLE}")
    for content in fields:
        if not _CONTENT.fullmatch(content):
            raise ValidationError(f"“{content}” in “{text}” is not valid in a cron expression. {_EXAMPLE}")
    # imported here: needed only when an expression is saved or described
    from croniter import croniter
    from croniter.croniter import CroniterError

    try:
        if not croniter.is_valid(text):
            raise ValidationError(f"“{text}” is not a cron expression: a number is out of range. {_EXAMPLE}")
        for content, field in zip(fields, FIELDS, strict=True):
            _check_ranges(text, content.lower(), field)
        # from any date: 29 February is at most eight years away
        croniter(text, dt.datetime(2024, 1, 1), max_years_between_matches=9).get_next()
    except CroniterError:
        raise ValidationError(f"“{text}” never fires: no such day exists. {_EXAMPLE}") from None


def _check_ranges(text: str, content: str, field: Field) -> None:
    """Raise ValidationError for a range that runs backwards, which Debian's cron accepts and never fires for."""
    for part in content.split(","):
        span, _, step = part.partition("/")
        begin, dash, end = span.partition("-")
        first, last = (field.number(word) if dash else 0 for word in (begin, end))
        if first > last:
            names = () if span.replace("-", "").isdecimal() else field.names
            corrected = _forwards(first, last, int(step or 1), field.numbers, names)
            raise ValidationError(
                f"The range “{part}” in “{text}” runs backwards, and cron never fires for such a range. "
                f"Write {corrected} instead."
            )


def _forwards(first: int, last: int, step: int, numbers: range, names: tuple[str, ...]) -> str:
    """Return the values that a backwards range probably means, in valid form."""
    if step == 1 and not names and len(numbers) > 7:
        halves = (first, numbers[-1]), (numbers[0], last)
        return ",".join(f"{low}-{high}" if low < high else f"{low}" for low, high in halves)
    # Sunday is 0 and 7
    start, stop = numbers.index(first) if first in numbers else 0, numbers.index(last) + 1
    places = range(start, stop if stop > start else stop + len(numbers), step)
    positions = [place % len(numbers) for place in places]
    return ",".join(names[position] if names else str(numbers[position]) for position in positions)
