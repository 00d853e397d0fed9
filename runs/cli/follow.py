"""Follows a run or group run of another process by its row and its log."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator

from django.utils import timezone

from connections.sdk.formatting import one_line
from runs import logs
from runs.lifecycle.reap import reap_if_dead
from runs.models import GroupRun, Run

# seconds between two polls
_POLL_SECONDS = 0.3
# how long after its end a run's process may write the last line of the log
_LAST_LINE = dt.timedelta(seconds=2)


def watch_group(group_run: GroupRun, write: Callable[[str], object], runs: list[Run] | None = None) -> None:
    """Wait until the group run has ended and reload it.

    ``write`` gets a line for each change of a member's status, and for each of its failures that is retried; ``runs``
    is kept equal to the runs of the group run as they were read last.
    """
    try:
        _watch_group(group_run, write, [] if runs is None else runs)
    except GroupRun.DoesNotExist:
        write(f"The group run {group_run.pk} was deleted.")


def _watch_group(group_run: GroupRun, write: Callable[[str], object], runs: list[Run]) -> None:
    statuses: dict[str, str] = {}
    reported: dict[str, int] = {}
    while True:
        group_run.refresh_from_db()
        runs[:] = group_run.runs.order_by("pk")
        for run in runs:
            if statuses.get(run.module_name) != run.status:
                statuses[run.module_name] = run.status
                write(f"{run.module_name}: {run.status} (run {run.pk})")
            failures = run.attempts or []
            for failure in failures[reported.get(run.module_name, 0) :]:
                write(f"{run.module_name}: {one_line(failure['message'])} Retrying in {failure['wait']:.1f} s.")
            reported[run.module_name] = len(failures)
        if group_run.is_final or reap_if_dead(group_run):
            group_run.refresh_from_db()
            return
        time.sleep(_POLL_SECONDS)


def follow_log(run: Run, *, follow: bool) -> Iterator[str]:
    """Yield the log, and with ``follow`` what is appended to it until the run has ended or its row was deleted."""
    offset = 0
    while True:
        # decided before the log is read, so that nothing written until then is missed
        is_last = not follow or _is_complete(run)
        while (chunk := logs.read(run, offset))[1] > offset:
            text, offset = chunk
            yield text
        if is_last:
            return
        time.sleep(_POLL_SECONDS)


def _is_complete(run: Run) -> bool:
    """Return whether nothing is appended to the log any more.

    The process of a run writes the last line after the final status.
    """
    try:
        run.refresh_from_db()
        reap_if_dead(run)
    except Run.DoesNotExist:
        return True
    if not run.is_final:
        return False
    is_writing = run.process is not None and run.process.is_here()
    return not is_writing or run.finished_at is None or timezone.now() - run.finished_at > _LAST_LINE
