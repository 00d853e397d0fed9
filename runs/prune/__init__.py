"""Removes old runs, logs and notifications, and what runs left behind in destinations.

Nothing active is removed, and nothing that Pipekit did not create. Other writers never wait long.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator

from runs.prune.destinations import prune_destinations
from runs.prune.files import prune_logs
from runs.prune.result import Pruned
from runs.prune.rows import prune_group_runs, prune_notifications, prune_runs, prune_verifications

__all__ = ["Pruned", "remove_expired"]

# destinations first: the runs in the metadata tell which leftovers belong to this installation
_STEPS: tuple[Callable[[dt.datetime, bool], Iterable[Pruned]], ...] = (
    prune_destinations,
    prune_logs,
    prune_notifications,
    prune_verifications,
    prune_runs,
    prune_group_runs,
)


def remove_expired(now: dt.datetime, *, dry_run: bool = False) -> Iterator[Pruned]:
    """Remove what is past its retention and yield what was removed, or with ``dry_run`` what would be."""
    for step in _STEPS:
        yield from step(now, dry_run)
