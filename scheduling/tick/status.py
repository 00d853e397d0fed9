"""Detects that the scheduler is not running, so that schedules do not fire, and suggests what to do."""

from __future__ import annotations

import shutil

from django.utils import timezone

from connections.sdk.errors import PipekitError
from scheduling.crontab import install
from scheduling.models import Tick
from scheduling.tick.due import GAP


def since() -> str:
    """Return when the last tick was, as part of a sentence; empty while ticks come regularly."""
    last = Tick.objects.order_by("pk").first()
    if last is None:
        return "there has been none"
    is_late = timezone.now() - last.finished_at > GAP
    return f"the last was at {last.finished_at:%Y-%m-%d %H:%M:%S} UTC" if is_late else ""


def our_lines() -> list[str]:
    """Return this installation's lines in the crontab; none if it cannot be read."""
    try:
        return install.installed_lines()
    except PipekitError:
        return []


def what_to_do(lines: list[str]) -> str:
    """Return a hint; ``lines`` are this installation's lines in the crontab."""
    if shutil.which("crontab") is None:
        return "This machine has no crontab program: keep `manage.py scheduler` running, or install cron."
    if not lines:
        return "manage.py installcron, or keep `manage.py scheduler` running."
    return "The line is in the crontab. Check that cron runs (systemctl status cron); its output is in logs/tick.log."
