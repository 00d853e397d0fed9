"""Calls of prune at a fixed time, and runs of a certain age."""

from __future__ import annotations

import datetime as dt

from modules.models import Module
from runs.models import Run
from runs.models.states import Status
from runs.prune import remove_expired
from tests.factories import RunFactory

NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def pruned(*, dry_run: bool = False, now: dt.datetime = NOW) -> dict[str, int]:
    """Prune, and return the number of removed items by their kind."""
    return {result.what: result.count for result in remove_expired(now, dry_run=dry_run) if result.count}


def run_of(module: Module, days: int, status: Status = Status.SUCCESS, **fields: object) -> Run:
    """Return a run of the module that ended so many days before NOW."""
    finished_at = None if status == Status.RUNNING else NOW - days * DAY
    return RunFactory.create(module=module, status=status, finished_at=finished_at, **fields)
