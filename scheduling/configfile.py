"""Section of the configuration file for schedules."""

from __future__ import annotations

from pipekit_site.configfile.sections import Section
from scheduling.models import Schedule

SCHEDULES = Section(
    name="schedules",
    model=Schedule,
    fields=("group", "module", "cron_expr", "timezone", "action", "enabled", "catch_up"),
)
