"""Begin a run: its row is the lock, and the database decides who was first.

A run whose owner is dead blocks nobody: whoever comes next settles it first, by what the destination remembers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from connections import registry
from connections.sdk.errors import AlreadyRunning, InternalError, PipekitError
from connections.url import jdbc
from modules.models import Group, Module
from runs import notify
from runs.lifecycle.plan import strategy_of
from runs.lifecycle.reap import reap, reap_group, seems_dead
from runs.models import GroupRun, Run
from runs.models.states import Status
from runs.process import identity

_ATTEMPTS = 3
_LONGEST_KEY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """How a run was asked for."""

    trigger: str = "manual"
    actor: str = ""
    dry_run: bool = False
    full_refresh: bool = False
    force: bool = False
    group_run: GroupRun | None = None
    # called with the new row in the transaction that inserts it; what it raises undoes the insert
    on_insert: Callable[[Any], None] | None = None


def claim(module: Module, request: Request) -> Run:
    """Insert the run as this process's; raises AlreadyRunning naming the run that is in the way.

    A dry run claims nothing and is never in the way.
    """
    here = identity.current().as_fields()
    return _insert(module, request, status=Status.RUNNING, started_at=timezone.now(), **here)


def queue(module: Module, request: Request) -> Run:
    """Insert the run for a process that is yet to come; it has the lock already. Raises as `claim`."""
    return _insert(module, request, status=Status.QUEUED)


def queue_group(group: Group, request: Request) -> GroupRun:
    """Insert a group run for a process that is yet to come; raises AlreadyRunning naming the one in the way."""
    for _ in range(_ATTEMPTS):
        try:
            with transaction.atomic():
                group_run = GroupRun.objects.create(
                    group=group,
                    group_name=group.name,
                    trigger=request.trigger,
                    actor=request.actor,
                    dry_run=request.dry_run,
                    full_refresh=request.full_refresh,
                )
                _inserted(group_run, request)
                return group_run
        except IntegrityError:
            _clear_the_way_of_group(group)
    raise InternalError(f"The run of group {group.name} could not be claimed.", hint="Run it again.")


def refuse(module: Module, request: Request, error: PipekitError) -> Run:
    """Record a run that could not begin, already over: the error says what was in its way."""
    over: dict[str, Any] = {"status": Status.ERROR, "error": error.as_dict(), "finished_at": timezone.now()}
    run = _new(module, request, lock_key="", **over)
    with transaction.atomic():
        run.save(force_insert=True)
        notify.on_finished(run)
    return run


def _insert(module: Module, request: Request, **fields: Any) -> Run:
    for _ in range(_ATTEMPTS):
        run = _new(module, request, **fields)
        try:
            with transaction.atomic():
                run.save(force_insert=True)
                run.record(log_path=f"runs/{run.pk}.log")
                _inserted(run, request)
        except IntegrityError:
            _clear_the_way(run)
            continue
        return run
    raise InternalError(f"The run of {module.name} could not be claimed.", hint="Run it again.")


def _inserted(row: Run | GroupRun, request: Request) -> None:
    if request.on_insert is not None:
        request.on_insert(row)


def dest_lock_key(module: Module) -> str:
    """Return what two modules share exactly when they write the same table: its place, not the connection's name."""
    connection = module.dest_connection
    url = jdbc.parse(connection.jdbc_url, kind=connection.driver.kind)
    table, dialect = module.dest_table_name, registry.dialect(connection.driver.kind)
    place = url.path or f"{url.host}:{url.port}/{url.database}"
    key = f"{connection.driver.kind}:{place}:{table.schema or dialect.default_schema}.{table.table}"
    # the column's room; a long path's end tells as much as the whole
    return key if len(key) <= _LONGEST_KEY else f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def _new(module: Module, request: Request, *, lock_key: str | None = None, **fields: Any) -> Run:
    run = Run(
        module=module,
        module_name=module.name,
        group_run=request.group_run,
        trigger=request.trigger,
        actor=request.actor,
        dry_run=request.dry_run,
        full_refresh=request.full_refresh,
        force=request.force,
        dest_lock_key=dest_lock_key(module) if lock_key is None else lock_key,
        **fields,
    )
    run.strategy = strategy_of(run)
    return run


def _clear_the_way(wanted: Run) -> None:
    """Settle the run that is in the way if its owner is dead, else raise AlreadyRunning."""
    assert wanted.module_id is not None
    for other in Run.objects.locking(wanted.module_id, wanted.dest_lock_key):
        if not seems_dead(other):
            raise AlreadyRunning(
                f"{wanted.module_name} cannot start: run {other.pk} of {other.module_name} is {other.status}"
                f" and writes {'the same table' if other.module_id != wanted.module_id else 'it'}.",
                hint=f"Wait for it, or stop it: manage.py cancelrun {other.pk}.",
                detail=str(other.pk),
            )
        reap(other)


def _clear_the_way_of_group(group: Group) -> None:
    for other in GroupRun.objects.active().filter(group=group, dry_run=False):
        if reap_group(other):
            continue
        raise AlreadyRunning(
            f"The group {group.name} cannot start: its run {other.pk} is {other.status}.",
            hint=f"Wait for it, or stop it: manage.py cancelrun --group-run {other.pk}.",
            detail=str(other.pk),
        )
