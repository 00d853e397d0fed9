"""Starts what a schedule fires. Whatever comes of it is an outcome; only a bug is an exception."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from connections.sdk.errors import AlreadyRunning, PipekitError
from modules.models import Group, Module
from runs.lifecycle import claim, launch
from runs.verifications import launch as verification_launch
from runs.verifications.launch import VerificationRequest
from scheduling.models import Outcome

FULL_REFRESH = "full_refresh"
# takes the number of the run or group run
Begin = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    outcome: Outcome
    run_id: int | None = None
    message: str = ""


def start_module(pk: int, *, trigger: str, begin: Begin, actor: str = "", full_refresh: bool = False) -> Started:
    module = Module.objects.with_connections().filter(pk=pk).first()
    if module is None:
        return Started(outcome=Outcome.FAILED, message="The module is gone.")
    if not module.enabled:
        return Started(outcome=Outcome.SKIPPED, message=f"The module {module.name} is disabled.")
    try:
        request = claim.Request(trigger=trigger, actor=actor, full_refresh=full_refresh, on_insert=_with_number(begin))
        run = launch.launch(module, request)
    except PipekitError as error:
        return _not_started(error, waits=full_refresh)
    if run.error:
        return Started(outcome=Outcome.FAILED, run_id=run.pk, message=run.error["message"])
    return Started(outcome=Outcome.STARTED, run_id=run.pk)


def start_group(pk: int, *, trigger: str, begin: Begin, actor: str = "") -> Started:
    group = Group.objects.filter(pk=pk).first()
    if group is None:
        return Started(outcome=Outcome.FAILED, message="The group is gone.")
    try:
        group_run = launch.launch_group(group, trigger=trigger, actor=actor, on_insert=_with_number(begin))
    except PipekitError as error:
        return _not_started(error)
    if group_run.error:
        return Started(outcome=Outcome.FAILED, run_id=group_run.pk, message=group_run.error["message"])
    return Started(outcome=Outcome.STARTED, run_id=group_run.pk)


def start_verification(
    module_pk: int | None, group_pk: int | None, *, trigger: str, begin: Begin, actor: str = ""
) -> Started:
    """Start the verification of a module, or of a group's enabled modules one after another."""
    if module_pk is None:
        found = verification_launch.members(group_pk)
    else:
        found = list(Module.objects.with_connections().filter(enabled=True, pk=module_pk))
    if not found:
        return Started(outcome=Outcome.SKIPPED, message="There is no enabled module to verify.")
    request = VerificationRequest(trigger=trigger, actor=actor, on_insert=_with_number(begin))
    try:
        started = verification_launch.launch(found, request)
    except PipekitError as error:
        return _not_started(error)
    failed = next((row for row in started if row.error), None)
    if failed is not None:
        return Started(outcome=Outcome.FAILED, run_id=failed.pk, message=(failed.error or {})["message"])
    return Started(outcome=Outcome.STARTED, run_id=started[0].pk)


def _with_number(begin: Begin) -> Callable[[Any], None]:
    return lambda row: begin(row.pk)


def _not_started(error: PipekitError, *, waits: bool = False) -> Started:
    # the next slot comes anyway; a full refresh's may be weeks away, so its slot stays claimed for the next ticks
    busy = Outcome.CLAIMED if waits else Outcome.SKIPPED
    outcome = busy if isinstance(error, AlreadyRunning) else Outcome.FAILED
    return Started(outcome=outcome, message=f"{error.message} {error.hint}".strip())
