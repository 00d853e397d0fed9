"""Decides whether the process of a run, group run or verification has died or never started.

On this machine its boot, pid and start time decide, on another its heartbeat; a queued row has no process yet, and is
dead after a timeout.
"""

from __future__ import annotations

import datetime as dt
import time

from django.utils import timezone

from runs.launchers.launcher import START_SECONDS
from runs.models.execution import Execution
from runs.models.process_mixin import ProcessMixin
from runs.models.setting import current_settings
from runs.models.states import Status
from runs.process import identity

# a queued row without a process is dead after this: its launcher has failed, or died before it stored the process
_START_TIMEOUT = dt.timedelta(seconds=START_SECONDS + 4)


def seems_dead(row: Execution) -> bool:
    """Return whether the process has ended or never started; on another machine its heartbeat decides."""
    if row.status == Status.LOST:
        return True
    process = row.process
    if process is None:
        return bool(timezone.now() - row.created_at > _START_TIMEOUT)
    if process.machine == identity.current().machine:
        return process.is_dead()
    return row.status == Status.RUNNING and _lease_expired(row)


def is_known_dead(row: Execution) -> bool:
    """Return whether the process certainly executes nothing more: it has ended on this machine.

    One on another machine, whose lease has expired, may only be paused.
    """
    process = row.process
    return process is not None and process.machine == identity.current().machine and process.is_dead()


def _lease_expired(row: ProcessMixin) -> bool:
    """Return whether the heartbeat of a process on another machine has not changed for the lease.

    The time is measured by this machine's monotonic clock; wall clocks are never compared. Observing processes are
    short-lived, so each observation is stored on the row, one for each machine and boot, to which its clock belongs.
    """
    here = identity.current()
    clock, seen = f"{here.machine} {here.boot}", _first_seen(row)
    if clock in seen:
        return bool(time.monotonic() - seen[clock] >= current_settings().lease)
    row.sighting = {"heartbeat": row.heartbeat, "first_seen": {**seen, clock: time.monotonic()}}
    row.note(sighting=row.sighting)
    return False


def _first_seen(row: ProcessMixin) -> dict[str, float]:
    """Return when each clock observed the row's heartbeat first."""
    sighting = row.sighting or {}
    if sighting.get("heartbeat") != row.heartbeat:
        return {}
    if "clock" in sighting:
        # stored by an earlier version: the last observation only
        return {sighting["clock"]: float(sighting["at"])}
    return dict(sighting["first_seen"])
