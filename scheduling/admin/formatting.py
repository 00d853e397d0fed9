"""HTML fragments of schedules for the admin: next times, the schedule in words, and recent slots."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from itertools import islice

from django.utils import timezone

from connections.sdk.errors import PipekitError
from modules.cron import expression as cron
from modules.cron import shorthand
from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.html import NOTHING
from runs.models import GroupRun, Run, Verification
from scheduling.models import Action, Schedule, Slot

# outcome -> colour and icon
COLOURS = {
    "claimed": ("info", "hourglass_empty"),
    "started": ("success", "play_circle"),
    "skipped": ("warning", "skip_next"),
    "failed": ("danger", "error"),
    "missed": ("warning", "event_busy"),
}


def upcoming(schedule: Schedule, count: int) -> list[dt.datetime]:
    """Return its next times in its time zone. Raise ConfigurationInvalid if the expression or zone is invalid."""
    zone = cron.zone_of(schedule.timezone)
    slots = cron.slots(cron.parse(schedule.cron_expr), zone, after=timezone.now())
    return [slot.at.astimezone(zone) for slot in islice(slots, count)]


def next_time(schedule: Schedule) -> str:
    """Return the next time, for lists; an error message if the schedule is invalid."""
    if not schedule.enabled:
        return NOTHING
    try:
        times = upcoming(schedule, 1)
    except PipekitError as error:
        return html.problem(html.clipped(f"{error.message} {error.hint}", length=60))
    if not times:
        return "never"
    utc = f"{times[0].astimezone(dt.UTC):%Y-%m-%d %H:%M}"
    local, age = _date_text(times[0]), html.since(times[0])
    return html.render("scheduling/next_time.html", utc=utc, local=local, age=age)


def outcome(slot: Slot) -> str:
    """Return the outcome as a coloured badge."""
    colour, sign = COLOURS[slot.outcome]
    return html.badge(slot.get_outcome_display(), colour, sign=sign)


def run_of(slot: Slot) -> str:
    """Return a link to the run that a slot started; the run may have been pruned."""
    if slot.run_id is None:
        return NOTHING
    model: type[Run] | type[GroupRun] | type[Verification] = Run
    if slot.schedule is not None and slot.schedule.action == Action.VERIFY:
        model = Verification
    elif slot.schedule is not None and slot.schedule.group_id:
        model = GroupRun
    return html.row_link(model(pk=slot.run_id), f"{model._meta.verbose_name} #{slot.run_id}")


def trigger_of_run(pk: int, name: str, named: bool) -> str:
    """Return a link to the schedule that started a run.

    ``name`` is its name when the run started, empty for runs of earlier versions; with ``named`` its current name is
    looked up.
    """
    former_name = name or f"#{pk}"
    schedule = Schedule.objects.filter(pk=pk).first() if named else Schedule(pk=pk, name=former_name)
    return html.row_link(schedule, f"schedule {schedule}") if schedule else f"schedule {former_name} (deleted)"


def next_times(schedule: Schedule) -> str:
    """Return the next five times, one per line."""
    try:
        times = upcoming(schedule, 5)
    except PipekitError as error:
        return error.message
    lines = [_date_text(time) + _shift_note(time, schedule) for time in times] or ["never"]
    return html.render("admin_ui/lines.html", lines=lines)


def in_words(schedule: Schedule) -> str:
    """Return the schedule as a sentence, with its time zone."""
    return f"{shorthand.sentence(schedule.cron_expr)} ({schedule.timezone})"


def last_slots(schedule: Schedule) -> str:
    """Return the most recent slots, one per line."""
    recent = Slot.objects.filter(schedule=schedule).select_related("schedule").recent()
    slots = [(when(slot), outcome(slot), run_of(slot), _remark(slot)) for slot in recent]
    return html.render("scheduling/slots.html", slots=slots) if slots else "It was not due yet."


def when(slot: Slot) -> str:
    """Return the time that was due, in the schedule's time zone."""
    return slot.slot_key.replace("T", " ")


def _remark(slot: Slot) -> str:
    missed = f"{slot.missed_before} missed before" if slot.missed_before else ""
    return ". ".join(filter(None, (missed, slot.message)))


def _shift_note(time: dt.datetime, schedule: Schedule) -> str:
    """Return a note if daylight saving moves the time."""
    expression = cron.parse(schedule.cron_expr)
    if not expression.fixed or (time.hour in expression.hours and time.minute in expression.minutes):
        return ""
    return " (moved: the scheduled time is skipped by daylight saving)"


def _date_text(time: dt.datetime) -> str:
    assert isinstance(time.tzinfo, zoneinfo.ZoneInfo), "shown in the schedule's zone"
    return f"{time:%a %Y-%m-%d %H:%M %Z}"
