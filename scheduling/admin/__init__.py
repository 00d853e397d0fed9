"""The admin of schedules, and how runs show that a schedule started them."""

from __future__ import annotations

from runs.admin.formatting import register_trigger
from runs.models.execution import StartedBy
from scheduling.admin import formatting
from scheduling.admin import schedule as schedule

register_trigger(StartedBy.SCHEDULE, formatting.trigger_of_run)
