"""The admin of schedules."""

from __future__ import annotations

from scheduling.admin import schedule as schedule
