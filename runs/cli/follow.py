"""Look on, from outside, while a run or group run goes on elsewhere: by its row and its log, never by its process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from runs import logs
from runs.lifecycle.reap import reap, reap_group, seems_dead
from runs.models import GroupRun, Run

# seconds between two looks
_LOOK = 0.3


def watch_group(group_run: GroupRun, tell: Callable[[str], object]) -> None:
    """Return when the group run is over, with its row read anew; each member's new state is told as a line."""
    told: dict[str, str] = {}
    while True:
        group_run.refresh_from_db()
        for run in group_run.runs.order_by("pk"):
            if told.get(run.module_name) != run.status:
                told[run.module_name] = run.status
                tell(f"{run.module_name}: {run.status} (run {run.pk})")
        if group_run.is_final or reap_group(group_run):
            group_run.refresh_from_db()
            return
        time.sleep(_LOOK)


def follow_log(run: Run, *, follow: bool) -> Iterator[str]:
    """Yield the log as it is, and with ``follow`` as it grows, until the run is over."""
    offset = 0
    while True:
        # asked before reading: what was written before the end is still read after it
        run.refresh_from_db()
        if follow and not run.is_final and seems_dead(run):
            reap(run)
        over = not follow or run.is_final
        while (found := logs.read(run, offset))[1] > offset:
            text, offset = found
            yield text
        if over:
            return
        time.sleep(_LOOK)
