"""Settle runs whose process is gone: the destination's commit record says whether they had published."""

from __future__ import annotations

import datetime as dt
import logging
import math
import time
from contextlib import suppress
from dataclasses import replace

from django.utils import timezone

from connections.sdk.errors import Cancelled, Lost, PipekitError
from runs import logs
from runs.engine.events import Published
from runs.engine.plan import Plan
from runs.lifecycle import leases, spool
from runs.lifecycle import plan as planning
from runs.models import GroupRun, Run
from runs.models.states import IllegalTransition, Status
from runs.models.verification import Verification
from runs.process import identity

_log = logging.getLogger(__name__)
# how long a launcher may take until it knows the process it started; one that dies in between leaves none
_START = dt.timedelta(seconds=14)
_RECOVERED = (
    "The process died after it had published; found in the destination's commit record. "
    "What was left of key_sync and hooks was not done."
)


def reap_all(*, seconds: float = math.inf) -> int:
    """Settle every run and group run whose owner is dead, and whatever was left in the spool; return how many.

    After so many seconds it begins no other: each may wait for a destination that does not answer.
    """
    found, until = spool.take_in(), time.monotonic() + seconds
    for row in (*Run.objects.active().with_module(), *GroupRun.objects.active()):
        if time.monotonic() > until:
            break
        try:
            found += _reaped(row)
        except Exception:
            # one that cannot be settled now must not keep the others
            _log.exception("%s could not be settled.", row)
    return found


def _reaped(row: Run | GroupRun) -> bool:
    if isinstance(row, GroupRun):
        return reap_group(row)
    if seems_dead(row):
        reap(row)
        return True
    return False


def seems_dead(row: Run | GroupRun | Verification) -> bool:
    """Whether the process has certainly ended, or never came. Another machine's is judged by its heartbeat."""
    if row.status == Status.LOST:
        return True
    process = row.process
    if process is None:
        return bool(timezone.now() - row.created_at > _START)
    if process.machine == identity.current().machine:
        return process.is_dead()
    return row.status == Status.RUNNING and leases.expired(row)


def reap(run: Run) -> None:
    """End a dead run: success when its commit record is there, else error `lost`. Whoever is first does it."""
    spool.take_in()
    run.refresh_from_db()
    with suppress(IllegalTransition):
        # a reaper that died half way has left it lost
        if run.status == Status.RUNNING:
            run.mark_lost(heartbeat=run.heartbeat)
        _settle(run)
        logs.write(run, f"settled without its process: {run.status}")


def reap_group(group_run: GroupRun) -> bool:
    """End a dead group run once none of its runs is going any more; return whether it is over."""
    if not seems_dead(group_run):
        return False
    for run in group_run.runs.active():
        if seems_dead(run):
            reap(run)
    if group_run.runs.active().exists():
        return False
    with suppress(IllegalTransition):
        _settle_group(group_run)
    return True


def _settle_group(group_run: GroupRun) -> None:
    told = {*group_run.runs.values_list("module_name", flat=True), *(entry["module"] for entry in group_run.skipped)}
    left = [name for name in group_run.members if name not in told]
    if group_run.cancel_requested:
        group_run.finish_cancelled()
    elif group_run.status == Status.RUNNING and group_run.members and not left:
        group_run.finish()
    else:
        group_run.finish_error(_lost(group_run, "these were not run any more: " + ", ".join(left or ["all"])).as_dict())


def _settle(run: Run) -> None:
    found, why = _ask(run)
    if found is not None:
        run.finish_success(
            inserted=found.inserted,
            updated=found.updated,
            deleted=found.deleted,
            warnings=[*run.warnings, _RECOVERED],
        )
    elif run.cancel_requested:
        run.finish_cancelled(Cancelled("The run was cancelled; nothing was published.", detail=why).as_dict())
    else:
        outcome = "whether it published is not known" if why else "nothing was published"
        run.finish_error(_lost(run, outcome, detail=why).as_dict())


def _lost(row: Run | GroupRun, outcome: str, *, detail: str = "") -> Lost:
    if row.pid is None:
        return Lost(
            f"The process of this run never started; {outcome}.",
            hint="Run it again; when it happens again, read its log.",
            detail=detail,
        )
    return Lost(
        f"The process of this run ended without a word (it was process {row.pid} on {row.host}); {outcome}.",
        hint="Run it again: it starts from what the destination has.",
        detail=detail,
    )


def _found(plan: Plan) -> Published | None:
    """Return what the run changed: its publish, and its key_sync where that was done."""
    # most that look for dead runs find none, and the engine is half of what a tick would import
    from runs.engine.publish import key_sync, publish

    published = publish.find(plan)
    if published is None or not plan.key_sync:
        return published
    synced = publish.find(plan, kind=key_sync.KIND)
    return published if synced is None else replace(published, deleted=(published.deleted or 0) + (synced.deleted or 0))


def _ask(run: Run) -> tuple[Published | None, str]:
    if run.status == Status.QUEUED or run.module is None or run.dry_run:
        # it has not begun, or is not there to publish
        return None, ""
    try:
        return _found(planning.plan(run)), ""
    except PipekitError as error:
        # the next run settles the data either way; that the answer is missing is said
        return None, f"The destination could not be asked: {error.message}"
