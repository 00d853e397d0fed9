"""The entry point of the crontab line. Installed lines contain a hash of its name: never change it (see CRONJOBS)."""

from __future__ import annotations

from scheduling.tick.tick import cron_tick as cron_tick
