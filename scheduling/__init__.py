"""Scheduling of modules and groups: schedules, the tick, the crontab."""
