"""Detects that the scheduler is not running, so that schedules do not fire, and suggests what to do."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from django.utils import timezone

from connections.sdk.errors import PipekitError
from modules.models import Module
from scheduling.crontab import install
from scheduling.models import Schedule, Tick
from scheduling.tick.due import GAP


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerStatus:
    """The number of enabled schedules, those of full refreshes included, and the last tick."""

    count: int
    last: Tick | None

    @property
    def is_late(self) -> bool:
        """Whether something is scheduled and ticks do not come regularly."""
        return bool(self.count) and (self.last is None or timezone.now() - self.last.finished_at > GAP)


def current() -> SchedulerStatus:
    """Return the status as it is now."""
    count = Schedule.objects.enabled().count() + Module.objects.enabled().exclude(full_refresh_cron="").count()
    return SchedulerStatus(count=count, last=Tick.objects.order_by("pk").first())


def last_tick_words() -> str:
    """Return when the last tick was, as part of a sentence; empty unless the scheduler is late."""
    status = current()
    if not status.is_late:
        return ""
    if status.last is None:
        return "there has been none"
    return f"the last was at {status.last.finished_at:%Y-%m-%d %H:%M:%S} UTC"


def crontab_lines() -> list[str]:
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
    check_cron = "that cron runs (systemctl status cron); its output is in logs/tick.log."
    if _is_current(lines):
        return f"The line is in the crontab. Check {check_cron}"
    found = "line in the crontab is" if len(lines) == 1 else f"{len(lines)} lines in the crontab are"
    return f"The {found} not what manage.py installcron writes now: run it. If that does not help, check {check_cron}"


def _is_current(lines: list[str]) -> bool:
    try:
        return install.is_current(lines)
    except PipekitError:
        # installcron would be refused in this environment, so it is not what to do
        return True
