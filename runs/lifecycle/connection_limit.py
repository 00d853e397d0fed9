"""Limits how many runs use a connection at the same time, by its ``max_parallel``: later runs wait for earlier ones."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db import transaction
from django.db.models import Q

from connections.models import Connection
from runs.lifecycle.liveness import seems_dead
from runs.lifecycle.metadata_retry import retry_metadata
from runs.models import Run
from runs.models.states import Status

# seconds between two queries of the earlier runs
_POLL_SECONDS = 1.0


def wait_for_turn(run: Run, report: Callable[[str], object]) -> None:
    """Wait while ``max_parallel`` or more other runs use a connection of the run's module.

    A run waits for those with a lower id, so the first one never waits. Earlier runs that wait for a connection which
    this one does not use are overtaken, and wait for it if it has begun: several runs, each of one of the two
    connections of a run, can keep it waiting while they take turns. Dry runs move no rows: they neither wait nor count.
    ``report`` is called with what is waited for, whenever that changes.
    """
    reported = ""
    while not run.dry_run and (reason := retry_metadata(lambda: _decide_and_record(run))):
        if reason != reported:
            report(reason)
            reported = reason
        time.sleep(_POLL_SECONDS)


def _decide_and_record(run: Run) -> str:
    """Decide whether the run must wait, store in its row for which connections; return why, empty if it need not."""
    others = _competing_runs(run)
    full = _full_connections(run, others)
    # runs count all that were started before them as users, so that two cannot begin at once and exceed the limit
    is_in_order = run.waits_for is None and all(other.waits_for is None for other in others)
    if not full and not is_in_order:
        with transaction.atomic():
            # one run at a time decides to use these connections (on SQLite the transaction excludes other processes)
            list(Connection.objects.select_for_update(no_key=True).filter(pk__in=_connections(run)).order_by("pk"))
            full = _full_connections(run, _competing_runs(run))
            if _waits_for(full) != run.waits_for:
                run.note(waits_for=_waits_for(full))
    elif _waits_for(full) != run.waits_for:
        run.note(waits_for=_waits_for(full))
    # not before the transaction is committed: after a failed one, what the row says must be written again
    run.waits_for = _waits_for(full)
    return next(iter(full.values()), "")


def _competing_runs(run: Run) -> list[Run]:
    """Return the live runs that share a connection with this one: earlier ones, and later ones that may have begun."""
    own = _connections(run)
    uses = Q(module__source_connection__in=own) | Q(module__dest_connection__in=own)
    which = Q(pk__lt=run.pk)
    if run.waits_for is not None:
        which |= Q(pk__gt=run.pk, status=Status.RUNNING, waits_for__isnull=True)
    active = Run.objects.active().filter(uses, which, dry_run=False).with_module().order_by("pk")
    return [other for other in active if not seems_dead(other)]


def _full_connections(run: Run, others: list[Run]) -> dict[int, str]:
    """Return the connections for which the run must wait, by primary key, with the reason in words."""
    own = _connections(run)
    full: dict[int, str] = {}
    for connection in Connection.objects.filter(pk__in=own).order_by("name") if others else ():
        # of those that wait, the ones that could begin in this run's place are before it in the queue
        counted = [
            other
            for other in others
            if connection.pk in _connections(other)
            and (other.waits_for is None or (connection.pk in other.waits_for and own.issuperset(other.waits_for)))
        ]
        if len(counted) >= connection.max_parallel:
            listed = ", ".join(f"{other.pk} ({other.module_name})" for other in counted)
            limit = f"whose max_parallel is {connection.max_parallel}"
            full[connection.pk] = f"waiting for {connection.name}, {limit}: runs {listed}"
    return full


def _waits_for(full: dict[int, str]) -> list[int] | None:
    return sorted(full) or None


def _connections(run: Run) -> set[int]:
    return set() if run.module is None else {run.module.source_connection_id, run.module.dest_connection_id}
