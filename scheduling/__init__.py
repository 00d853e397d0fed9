"""When modules and groups run: schedules, the tick, the crontab."""
