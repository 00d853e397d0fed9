"""Inserts the row of a run, which is also its lock: a unique index decides which of several processes is first.

A run whose process is dead does not prevent the next run, which finalizes it first by the destination's commit record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from connections.sdk.errors import AlreadyRunning, InternalError, PipekitError
from connections.sdk.records import dataclass
from modules.models import Group, Module
from runs import logs
from runs.lifecycle.build_plan import strategy_of
from runs.lifecycle.dest_lock_key import dest_lock_key
from runs.lifecycle.liveness import seems_dead
from runs.lifecycle.reap import reap_if_dead, reap_row
from runs.models import GroupRun, Run
from runs.models.execution import Execution, StartedBy, without_secrets
from runs.models.states import Effect, Status
from runs.models.transitions import finished
from runs.process import identity

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRequest:
    """Who requested a run, group run or verification, and whether the safety limits are overridden."""

    trigger: str = StartedBy.MANUAL
    actor: str = ""
    force: bool = False
    # called with the new row in the transaction that inserts it; an exception rolls the insert back
    on_insert: Callable[[Any], None] | None = None

    def inserted(self, row: Execution) -> None:
        """Call ``on_insert``, if given."""
        if self.on_insert is not None:
            self.on_insert(row)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest(ExecutionRequest):
    """The options of a run or group run, and who requested it."""

    dry_run: bool = False
    full_refresh: bool = False
    restore: bool = False
    group_run: GroupRun | None = None


def insert_run(module: Module, request: RunRequest) -> Run:
    """Insert a running run of this process. Raise AlreadyRunning, naming the conflicting run.

    A dry run takes no lock, so it conflicts with nothing.
    """
    here = identity.current().as_fields()
    return _insert(module, request, status=Status.RUNNING, started_at=timezone.now(), **here)


def queue_run(module: Module, request: RunRequest) -> Run:
    """Insert a queued run, which holds its locks until its process starts it. Raises as `insert_run`."""
    return _insert(module, request, status=Status.QUEUED)


def start_run(run: Run) -> None:
    """Start a queued run in this process, with the lock of the table that its module names now.

    That may have been changed since the run was queued. Raises AlreadyRunning, naming the conflicting run, and
    IllegalTransition if the run has ended.
    """
    assert run.module is not None, "a queued run keeps its module from being deleted"
    key = dest_lock_key(run.module)
    for _ in range(_ATTEMPTS):
        try:
            with transaction.atomic():
                run.start(dest_lock_key=key, **identity.current().as_fields())
            return
        except IntegrityError:
            run.dest_lock_key = key
            _finalize_dead_conflicts(run)
    raise InternalError(f"The run of {run.module_name} could not be started.", hint="Run it again.")


def queue_group_run(group: Group, request: RunRequest) -> GroupRun:
    """Insert a queued group run. Raise AlreadyRunning, naming the conflicting one."""
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
                logs.rename_earlier_log(group_run)
                request.inserted(group_run)
                return group_run
        except IntegrityError:
            _finalize_dead_group_runs(group)
    raise InternalError(f"The run of group {group.name} could not be queued.", hint="Run it again.")


def insert_failed_run(module: Module, request: RunRequest, error: PipekitError) -> Run:
    """Insert a run that could not start, with status error and this error."""
    final: dict[str, Any] = {
        "status": Status.ERROR,
        "error": without_secrets(error.as_dict()),
        "effect": None if request.dry_run else Effect.UNCHANGED,
        "finished_at": timezone.now(),
    }
    run = _new(module, request, lock_key="", **final)
    with transaction.atomic():
        run.save(force_insert=True)
        finished.send(Run, instance=run)
    return run


def _insert(module: Module, request: RunRequest, **fields: Any) -> Run:
    for _ in range(_ATTEMPTS):
        run = _new(module, request, **fields)
        try:
            with transaction.atomic():
                run.save(force_insert=True)
                run.record(log_path=f"runs/{run.pk}.log")
                # before the commit: no other process knows the row yet
                logs.rename_earlier_log(run)
                request.inserted(run)
        except IntegrityError:
            _finalize_dead_conflicts(run)
            continue
        return run
    raise InternalError(f"The run of {module.name} could not be started.", hint="Run it again.")


def _new(module: Module, request: RunRequest, *, lock_key: str | None = None, **fields: Any) -> Run:
    return Run(
        module=module,
        module_name=module.name,
        group_run=request.group_run,
        trigger=request.trigger,
        actor=request.actor,
        dry_run=request.dry_run,
        full_refresh=request.full_refresh,
        force=request.force,
        restore=request.restore,
        dest_lock_key=dest_lock_key(module) if lock_key is None else lock_key,
        strategy=strategy_of(module, full_refresh=request.full_refresh),
        **fields,
    )


def _finalize_dead_conflicts(wanted: Run) -> None:
    """Finalize conflicting runs whose process is dead. Raise AlreadyRunning for one that is not."""
    assert wanted.module_id is not None
    for other in Run.objects.locking(wanted.module_id, wanted.dest_lock_key).exclude(pk=wanted.pk):
        if not seems_dead(other):
            raise AlreadyRunning(
                f"{wanted.module_name} cannot start: run {other.pk} of {other.module_name} is {other.status}"
                f"{' and writes the same table' if other.module_id != wanted.module_id else ''}.",
                hint=f"Wait for it, or stop it: manage.py cancelrun {other.pk}.",
                detail=str(other.pk),
            )
        reap_row(other)


def _finalize_dead_group_runs(group: Group) -> None:
    for other in GroupRun.objects.active().filter(group=group, dry_run=False):
        reap_if_dead(other)
        if GroupRun.objects.active().filter(pk=other.pk).exists():
            raise AlreadyRunning(
                f"The group {group.name} cannot start: its run {other.pk} is {other.status}.",
                hint=f"Wait for it, or stop it: manage.py cancelrun --group-run {other.pk}.",
                detail=str(other.pk),
            )
