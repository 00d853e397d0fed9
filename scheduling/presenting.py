"""How schedules look in the admin: when they fire next, in words and as dates, and what became of the last slots."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from itertools import islice

from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from connections.sdk.errors import PipekitError
from scheduling import cron, words
from scheduling.models import Schedule, Slot

NOTHING = "–"


def coming(schedule: Schedule, count: int) -> list[dt.datetime]:
    """Return its next times in its zone. Raises ConfigurationInvalid where they cannot be told."""
    zone = cron.zone_of(schedule.timezone)
    found = cron.slots(cron.parse(schedule.cron_expr), zone, after=timezone.now())
    return [slot.at.astimezone(zone) for slot in islice(found, count)]


def next_time(schedule: Schedule) -> str:
    if not schedule.enabled:
        return "off"
    try:
        found = coming(schedule, 1)
    except PipekitError as error:
        return error.message
    return _moment(found[0]) if found else "never"


def next_times(schedule: Schedule) -> SafeString | str:
    try:
        found = coming(schedule, 5)
    except PipekitError as error:
        return error.message
    return _lines([_moment(moment) + _shifted(moment, schedule) for moment in found] or ["never"])


def in_words(schedule: Schedule) -> str:
    return f"{words.sentence(schedule.cron_expr)} ({schedule.timezone})"


def last_slots(schedule: Schedule) -> SafeString | str:
    return _lines([_slot(slot) for slot in Slot.objects.filter(schedule=schedule).recent()] or [NOTHING])


def _slot(slot: Slot) -> str:
    run = f", run #{slot.run_id}" if slot.run_id else ""
    missed = f", and {slot.missed_before} missed before" if slot.missed_before else ""
    said = f": {slot.message}" if slot.message else ""
    return f"{slot.slot_key.replace('T', ' ')} {slot.get_outcome_display()}{run}{missed}{said}"


def _shifted(moment: dt.datetime, schedule: Schedule) -> str:
    """Say when it is not the time that was asked for."""
    expression = cron.parse(schedule.cron_expr)
    if not expression.fixed or (moment.hour in expression.hours and moment.minute in expression.minutes):
        return ""
    return " (the clock skips the time that was asked for)"


def _moment(moment: dt.datetime) -> str:
    assert isinstance(moment.tzinfo, zoneinfo.ZoneInfo), "shown in the schedule's zone"
    return f"{moment:%a %Y-%m-%d %H:%M %Z}"


def _lines(lines: list[str]) -> SafeString:
    return format_html_join("", "<div>{}</div>", ((line,) for line in lines))
