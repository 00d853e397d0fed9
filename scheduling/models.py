"""Schedules (a cron expression in a time zone that starts one group or module) and the slots at which they were due.

The row of a slot reserves it for the tick that inserts it. It is unique, so a slot is started once, even by concurrent
ticks or after the clock was changed.
"""

from __future__ import annotations

import zoneinfo

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.timezone import get_default_timezone_name

from connections.models import NAME, Timestamped
from modules.cron import grammar as cron_grammar
from modules.models import Group, Module
from scheduling.querysets import ScheduleQuerySet, SlotQuerySet


class CatchUp(models.TextChoices):
    """What is done about missed slots."""

    NONE = "none", "Skip missed times"
    LAST = "last", "Run once for all missed times"


class Action(models.TextChoices):
    """What a schedule does with its group or module."""

    RUN = "run", "Run"
    VERIFY = "verify", "Verify: compare the source with the destination"


class SlotOutcome(models.TextChoices):
    """What became of a slot."""

    # no run yet: the tick died before starting it, or it waits for the module; the next tick starts it
    RESERVED = "claimed", "To be started"
    STARTED = "started", "Started"
    # the previous run is still active, or the schedule or module is disabled
    SKIPPED = "skipped", "Skipped"
    FAILED = "failed", "Could not be started"
    MISSED = "missed", "Missed"


def server_zone() -> str:
    """Return the name of the server's time zone, the default of new schedules."""
    return get_default_timezone_name()


def check_zone(name: str) -> None:
    """Validate the name of a time zone. Raise ValidationError if it does not exist."""
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise ValidationError(
            f"“{name}” is not a time zone. Write its IANA name, such as Europe/Berlin or UTC."
        ) from None


class Schedule(Timestamped):
    """A cron expression in a time zone, and the group or module that it runs or verifies."""

    name = models.CharField(max_length=100, unique=True, validators=[NAME])
    group = models.ForeignKey(Group, on_delete=models.CASCADE, null=True, blank=True, related_name="schedules")
    module = models.ForeignKey(Module, on_delete=models.CASCADE, null=True, blank=True, related_name="schedules")
    cron_expr = models.CharField(
        "cron expression",
        max_length=100,
        validators=[cron_grammar.check],
        help_text="Minute, hour, day, month, weekday (0 4 * * *), or @hourly, @daily, @weekly, @monthly, @yearly.",
    )
    timezone = models.CharField("time zone", max_length=64, default=server_zone, validators=[check_zone])
    action = models.CharField(
        max_length=6,
        choices=Action.choices,
        default=Action.RUN,
        help_text="What the schedule does with the group or module.",
    )
    enabled = models.BooleanField(default=True)
    catch_up = models.CharField(max_length=4, choices=CatchUp.choices, default=CatchUp.LAST)
    last_fired_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        db_table = "schedule"
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="schedule_fires_exactly_one",
                condition=models.Q(group=None, module__isnull=False) | models.Q(group__isnull=False, module=None),
                violation_error_message="A schedule fires a group or a module: choose exactly one of the two.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def target(self) -> Group | Module | None:
        return self.group or self.module

    @property
    def problem(self) -> str:
        """Why it cannot fire, or could not start its last slot; empty if there is no problem."""
        try:
            return self.progress.problem
        except Progress.DoesNotExist:
            return ""


class Progress(models.Model):
    """Up to when a schedule, or a module's full_refresh_cron, has been evaluated. Written only by ticks."""

    schedule = models.OneToOneField(Schedule, on_delete=models.CASCADE, null=True, related_name="progress")
    module = models.OneToOneField(Module, on_delete=models.CASCADE, null=True, related_name="full_refresh_progress")
    # every slot up to this time has been started or recorded as missed
    seen_until = models.DateTimeField()
    # the expression and time zone that were evaluated; a change starts over from now. Empty: disabled
    seen_as = models.CharField(max_length=200, blank=True)
    # why its times cannot be computed
    error = models.TextField(blank=True)
    # why its last slot could not be started
    start_error = models.TextField(blank=True)

    class Meta:
        db_table = "schedule_progress"

    def __str__(self) -> str:
        return f"{self.schedule or self.module} until {self.seen_until:%Y-%m-%d %H:%M}"

    @property
    def problem(self) -> str:
        return self.error or self.start_error


class Slot(models.Model):
    """One time at which a schedule, or a module's full_refresh_cron, was due."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, null=True, related_name="slots")
    module = models.ForeignKey(
        Module, on_delete=models.CASCADE, null=True, related_name="full_refresh_slots", help_text="Its full refresh."
    )
    # local time without fold, or for wildcard expressions the UTC minute
    slot_key = models.CharField("slot", max_length=20)
    due_at = models.DateTimeField()
    # when a tick reserved it
    claimed_at = models.DateTimeField()
    outcome = models.CharField(max_length=8, choices=SlotOutcome.choices, default=SlotOutcome.RESERVED)
    # the number of earlier missed slots that this row also represents
    missed_before = models.PositiveIntegerField(default=0)
    message = models.TextField(blank=True)
    # of a run, group run or verification, which may be pruned before the slot
    run_id = models.BigIntegerField("run", null=True, blank=True)

    objects = SlotQuerySet.as_manager()

    class Meta:
        db_table = "slot"
        ordering = ["-due_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["schedule", "slot_key"], name="one_slot_per_schedule_and_time"),
            models.UniqueConstraint(fields=["module", "slot_key"], name="one_full_refresh_per_module_and_time"),
            models.CheckConstraint(
                name="slot_is_of_exactly_one",
                condition=models.Q(schedule=None, module__isnull=False) | models.Q(schedule__isnull=False, module=None),
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="slot_by_time"),
            models.Index(fields=["due_at"], name="slot_unstarted", condition=models.Q(outcome="claimed")),
        ]

    def __str__(self) -> str:
        return f"{self.schedule or self.module} {self.slot_key}"


class Tick(models.Model):
    """The last tick. Its single row shows whether the scheduler is running."""

    # the time at which the tick evaluated the schedules
    at = models.DateTimeField()
    # since when there has been a tick every minute
    unbroken_since = models.DateTimeField()
    # when the tick ended, by the wall clock
    finished_at = models.DateTimeField()
    started = models.PositiveIntegerField(default=0)
    # of finalizing dead runs
    error = models.TextField(blank=True)
    # the last day on which a tick started `prune`
    pruned_on = models.DateField(null=True)

    class Meta:
        db_table = "tick"

    def __str__(self) -> str:
        return f"tick {self.at:%Y-%m-%d %H:%M:%S}"
