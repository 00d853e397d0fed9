"""What the crontab line calls. Installed lines hold a hash of this name, so it must not change (see CRONJOBS)."""

from __future__ import annotations

from scheduling.tick.tick import cron_tick as cron_tick
