"""Cron expressions: grammar, times in time zones, and short forms."""
