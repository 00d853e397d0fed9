"""Limits how many runs use a connection at the same time, by its ``max_parallel``: later runs wait for earlier ones."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db.models import Q

from connections.models import Connection
from runs.lifecycle.liveness import seems_dead
from runs.lifecycle.metadata_retry import retry_metadata
from runs.models import Run

# seconds between two queries of the earlier runs
_POLL_SECONDS = 1.0


def wait_for_turn(run: Run, report: Callable[[str], object]) -> None:
    """Wait while ``max_parallel`` or more earlier runs use a connection of the run's module.

    A run waits only for those with a lower id, so the first one never waits. Dry runs move no rows: they neither wait
    nor count. ``report`` is called with what is waited for, whenever that changes.
    """
    reported = ""
    while not run.dry_run and (reason := retry_metadata(lambda: _reason(run))):
        if reason != reported:
            report(reason)
            reported = reason
        time.sleep(_POLL_SECONDS)


def _reason(run: Run) -> str:
    """Return why the run must wait; empty if it need not."""
    assert run.module is not None, "a module runs while it exists"
    own = {run.module.source_connection_id, run.module.dest_connection_id}
    uses = Q(module__source_connection__in=own) | Q(module__dest_connection__in=own)
    earlier = Run.objects.active().filter(uses, pk__lt=run.pk, dry_run=False).with_module().order_by("pk")
    alive = [other for other in earlier if not seems_dead(other)]
    if not alive:
        return ""
    for connection in Connection.objects.filter(pk__in=own).order_by("name"):
        using = [other for other in alive if connection.pk in _connections(other)]
        if len(using) >= connection.max_parallel:
            listed = ", ".join(f"{other.pk} ({other.module_name})" for other in using)
            return f"waiting for {connection.name}, whose max_parallel is {connection.max_parallel}: runs {listed}"
    return ""


def _connections(run: Run) -> tuple[int, ...]:
    return () if run.module is None else (run.module.source_connection_id, run.module.dest_connection_id)
