"""Daily housekeeping: a tick starts `prune` once a day, so that an unattended installation does not fill its disk."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from runs.launchers.launcher import launcher
from scheduling.models import Tick

# from this hour of the server's local time on
_HOUR = 3
# ticks must have come for this long: after a jump of the clock, `prune` could remove too much
_STEADY = dt.timedelta(hours=1)


def prune_daily(now: dt.datetime) -> bool:
    """Start `prune` in a new process unless it was started today; return whether it was started now."""
    local = timezone.localtime(now)
    steady = Tick.objects.filter(pk=1, unbroken_since__lt=now - _STEADY)
    if local.hour < _HOUR or not steady.exclude(pruned_on=local.date()).update(pruned_on=local.date()):
        return False
    launcher().launch(["prune"], log=Path(settings.PIPEKIT.log_dir) / "prune.log")
    return True
