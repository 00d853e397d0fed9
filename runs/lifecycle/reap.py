"""Finalizes runs, group runs and verifications whose process has died.

The destination's commit record proves whether such a run published.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, InterfaceError

from connections.sdk.errors import Cancelled, Lost, PipekitError
from connections.secrets.redaction import redactor
from runs import logs
from runs.engine.events import Published
from runs.engine.plan import Plan
from runs.lifecycle import spool
from runs.lifecycle.build_plan import build_destination_plan
from runs.lifecycle.dest_lock_key import is_key_of
from runs.lifecycle.liveness import is_known_dead, seems_dead
from runs.lifecycle.metadata_retry import close_if_broken
from runs.models import GroupRun, Run
from runs.models.execution import Execution, StartedBy
from runs.models.publish_outcome import unfinished_sentence
from runs.models.states import Effect, Status
from runs.models.transitions import IllegalTransition
from runs.models.verification import ACTIVE, Verification

_log = logging.getLogger(__name__)
_RECOVERED = "The process died after it had published, as its commit record shows: the rows are published."


class NotFinalized(Exception):
    """Rows could not be finalized because of errors; the message names them."""


def reap_all(*, seconds: float = math.inf) -> int:
    """Finalize every verification, run and group run whose process is dead, and import spooled results.

    Return how many. After ``seconds`` no further row is started, because each may wait for a destination that does not
    answer. Raise NotFinalized, after all others, if there was an error with a row.
    """
    count, deadline, failures = spool.import_files(), time.monotonic() + seconds, list[str]()
    # verifications first: they pass their cancel on to their repair run
    verifications = Verification.objects.filter(status__in=ACTIVE)
    for row in (*verifications, *Run.objects.active().with_module(), *GroupRun.objects.active()):
        if time.monotonic() > deadline:
            break
        try:
            count += reap_if_dead(row)
        except Exception as error:
            # an error of one row must not keep the others from being finalized
            message = redactor().text(f"{row}: {type(error).__name__}: {error}")
            _log.error("Not finalized: %s", message, exc_info=not isinstance(error, PipekitError))
            close_if_broken()
            failures.append(message)
    if failures:
        raise NotFinalized("; ".join(failures))
    return count


def reap_if_dead(row: Execution) -> bool:
    """Finalize the row if its process is dead; return whether this call did it (see `reap_row`)."""
    return not row.is_final and seems_dead(row) and reap_row(row)


def reap_row(row: Execution) -> bool:
    """Finalize a row whose process seems dead. Safe to call concurrently.

    A run whose commit record exists is a success. A group run is finalized once none of its runs is active, a
    verification together with its repair run.

    Return whether this call did it; a row whose process lives after all is left to it.
    """
    spool.import_files()
    if isinstance(row, GroupRun) and not _reap_members(row):
        return False
    # deleted or finalized by another process meanwhile
    with suppress(IllegalTransition, ObjectDoesNotExist):
        # it may have been loaded before its process started
        row.refresh_from_db()
        if row.is_final or not seems_dead(row):
            return False
        match row:
            case Run():
                _finalize_run(row)
            case GroupRun():
                _finalize_group_run(row)
            case Verification():
                _finalize_verification(row)
        return True
    return False


def _reap_members(group_run: GroupRun) -> bool:
    """Finalize the group run's dead runs; return whether no run is active any more."""
    for run in group_run.runs.active():
        reap_if_dead(run)
    return not group_run.runs.active().exists()


def _as_loaded(row: Execution) -> dict[str, Any]:
    """Return the condition that no process has started, continued or taken over the row since it was loaded."""
    names = ("status", "heartbeat", "machine_id", "boot_id", "pid", "process_started")
    return {name: getattr(row, name) for name in names}


def _finalize_verification(verification: Verification) -> None:
    """End it as cancelled if that was requested, else with the error `lost`, and its repair run before."""
    run = Run.objects.filter(trigger=StartedBy.VERIFICATION.numbered(verification.pk)).first()
    if run is not None:
        if verification.cancel_requested and seems_dead(run):
            run.request_cancel()
        reap_if_dead(run)
    error: PipekitError = Lost("The process of this verification ended unexpectedly.", hint="Start it again.")
    if verification.cancel_requested:
        error = Cancelled("The verification was cancelled.", hint="Start it again.")
    repair_run = {} if run is None else {"repair_run": run}
    verification.finish_error(error.as_dict(), only_if=_as_loaded(verification), **repair_run)


def _finalize_group_run(group_run: GroupRun) -> None:
    left, only_if = group_run.members_not_run(), _as_loaded(group_run)
    if group_run.cancel_requested:
        group_run.finish_cancelled(only_if=only_if)
    elif group_run.status == Status.RUNNING and group_run.members and not left:
        group_run.finish_by_runs(only_if=only_if)
    else:
        error = _lost(group_run, "members that were not run: " + ", ".join(left or ["all"]))
        group_run.finish_error(error.as_dict(), only_if=only_if)


def _finalize_run(run: Run) -> None:
    # it is lost already if an earlier reaper died in between
    if run.status == Status.RUNNING:
        run.mark_lost(heartbeat=run.heartbeat)
    # queued or lost; the process of a queued run may start it meanwhile
    only_if = {"status": run.status}
    published, why_unknown = _ask_destination(run)
    if published is not None:
        recovered = f"{_RECOVERED} {unfinished_sentence(run.unfinished)}"
        warnings = [*run.warnings, recovered, *([why_unknown] if why_unknown else [])]
        run.finish_success(
            inserted=published.inserted,
            updated=published.updated,
            deleted=published.deleted,
            warnings=warnings,
            only_if=only_if,
        )
        logs.write(run, f"warning: {recovered}")
    elif run.cancel_requested:
        cancelled = Cancelled("The run was cancelled; nothing was published.", detail=why_unknown)
        run.finish_cancelled(cancelled.as_dict(), only_if=only_if, **_effect(run, why_unknown))
    else:
        effect = "whether it published is not known" if why_unknown else "nothing was published"
        error = _lost(run, effect, detail=why_unknown)
        run.finish_error(error.as_dict(), only_if=only_if, **_effect(run, why_unknown))
    logs.write(run, f"finalized without its process: {run.status}")


def _effect(run: Run, why_unknown: str) -> dict[str, Effect | None]:
    """Return the field of a dead run without a commit record; none for one that never started.

    Whether its hooks have changed the table is not known.
    """
    if run.dry_run or run.started_at is None:
        return {}
    return {"effect": Effect.UNPUBLISHED if not why_unknown and is_known_dead(run) else None}


def _lost(row: Run | GroupRun, effect: str, *, detail: str = "") -> Lost:
    if row.pid is None:
        return Lost(
            f"The process of this run never started; {effect}.",
            hint="Run it again; if this happens again, read its log.",
            detail=detail,
        )
    return Lost(
        f"The process of this run ended unexpectedly (process {row.pid} on {row.host}); {effect}.",
        hint="Run it again: it continues from what is in the destination.",
        detail=detail,
    )


def _find_published(plan: Plan) -> tuple[Published | None, str]:
    """Return what the run committed: its publish, and the deletes of key_sync and of a repair if it reached them.

    The text is empty, or says that those deletes could not be found out.
    """
    # imported here: a tick rarely finds a dead run, and the engine would double its imports
    from runs.engine.publish.commit import CommitKind, find_published

    published = find_published(plan)
    if published is None:
        return None, ""
    # whichever steps the run had: the module does not tell that it was a repair, and may have lost its key_sync
    commits, unknown = [published], ""
    try:
        for kind in (CommitKind.KEY_SYNC, CommitKind.REPAIR):
            if found := find_published(plan, kind):
                commits.append(found)
    except Exception as error:  # whatever it is, the run has published
        message = error.message if isinstance(error, PipekitError) else f"{type(error).__name__}: {error}"
        unknown = redactor().text(
            f"The number of deleted rows may be incomplete: the destination could not be asked for all: {message}"
        )
    deleted = [each.deleted for each in commits if each.deleted is not None]
    return replace(published, deleted=sum(deleted) if deleted else None), unknown


def _ask_destination(run: Run) -> tuple[Published | None, str]:
    """Return what the run committed, and why that, or a part of it, could not be found out."""
    if run.status == Status.QUEUED or run.module is None or run.dry_run:
        # it cannot have published
        return None, ""
    try:
        plan = build_destination_plan(run.module, token=run.token, full_refresh=run.full_refresh)
        published, unknown = _find_published(plan)
        is_same = not run.dest_lock_key or is_key_of(run.dest_lock_key, run.module)
    except PipekitError as error:
        # the run ends all the same: the next one starts from the destination's data in either case
        return None, f"The destination could not be asked: {error.message}"
    except (DatabaseError, InterfaceError):
        # the metadata is unavailable, and could not record the end either
        raise
    except Exception as error:  # an error of Pipekit itself: a run that is never finalized would block its module
        _log.exception("The destination of %s could not be asked.", run)
        return None, redactor().text(f"The destination could not be asked: {type(error).__name__}: {error}")
    if published is None and not is_same:
        # a commit record proves that the run published, wherever it is; that there is none here proves nothing
        return None, "The module's destination was changed after the run had started, and only the new one was asked."
    return published, unknown
