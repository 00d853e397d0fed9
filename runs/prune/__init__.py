"""What is old enough to go: runs, their logs, what was told of them, and what they left in destinations.

Nothing that is still active goes, nothing that Pipekit did not make, and no writer waits long for it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator

from runs.prune.destinations import prune_destinations
from runs.prune.files import prune_logs
from runs.prune.result import Pruned
from runs.prune.rows import prune_group_runs, prune_notifications, prune_runs, prune_verifications

__all__ = ["Pruned", "prune"]

# destinations first: what is ours there is known by the runs that are here
_STEPS: tuple[Callable[[dt.datetime, bool], Iterable[Pruned]], ...] = (
    prune_destinations,
    prune_logs,
    prune_notifications,
    prune_verifications,
    prune_runs,
    prune_group_runs,
)


def prune(now: dt.datetime, *, dry_run: bool = False) -> Iterator[Pruned]:
    """Remove what is old, and yield what went, or what would."""
    for step in _STEPS:
        yield from step(now, dry_run)
