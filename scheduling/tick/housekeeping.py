"""Once a day a tick has old rows, logs and leftovers removed: an install that nobody looks after must not fill up."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from runs.launchers.launcher import launcher
from scheduling.models import Tick

# by the server's clock, when little else runs
_HOUR = 3
# a clock that has just jumped must not decide what is old
_STEADY = dt.timedelta(hours=1)


def prune_daily(now: dt.datetime) -> bool:
    """Start `prune` as a process of its own when today's has not been started; return whether it was."""
    local = timezone.localtime(now)
    steady = Tick.objects.filter(pk=1, unbroken_since__lt=now - _STEADY)
    if local.hour < _HOUR or not steady.exclude(pruned_on=local.date()).update(pruned_on=local.date()):
        return False
    launcher().launch(["prune"], log=Path(settings.PIPEKIT.log_dir) / "prune.log")
    return True
