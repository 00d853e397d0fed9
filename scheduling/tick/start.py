"""Starts the runs of timers. Expected failures are returned as an outcome and not raised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connections.sdk.errors import AlreadyRunning, PipekitError
from connections.sdk.records import dataclass
from modules.models import Group, Module
from runs.lifecycle.insert import RunRequest
from runs.lifecycle.launch import launch_group_run, launch_run
from runs.models.execution import Execution
from runs.verifications.insert import VerificationRequest
from runs.verifications.launch import enabled_members, launch_verifications
from scheduling.models import SlotOutcome

# called with the id of the inserted run, group run or first verification
OnInsert = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartResult:
    """The outcome of starting a slot, the id of its run if there is one, and an error message."""

    outcome: SlotOutcome
    run_id: int | None = None
    message: str = ""


def start_module(
    pk: int, *, trigger: str, on_insert: OnInsert, actor: str = "", full_refresh: bool = False
) -> StartResult:
    """Start a run of a module, unless it is disabled or running."""
    module = Module.objects.with_connections().filter(pk=pk).first()
    if module is None:
        return StartResult(outcome=SlotOutcome.FAILED, message="The module was deleted.")
    if not module.enabled:
        return StartResult(outcome=SlotOutcome.SKIPPED, message=f"The module {module.name} is disabled.")
    try:
        request = RunRequest(trigger=trigger, actor=actor, full_refresh=full_refresh, on_insert=_with_id(on_insert))
        run = launch_run(module, request)
    except PipekitError as error:
        return _not_started(error, waits=full_refresh)
    return _result(run)


def start_group(pk: int, *, trigger: str, on_insert: OnInsert, actor: str = "") -> StartResult:
    """Start a run of a group, unless it is running."""
    group = Group.objects.filter(pk=pk).first()
    if group is None:
        return StartResult(outcome=SlotOutcome.FAILED, message="The group was deleted.")
    request = RunRequest(trigger=trigger, actor=actor, on_insert=_with_id(on_insert))
    try:
        group_run = launch_group_run(group, request)
    except PipekitError as error:
        return _not_started(error)
    return _result(group_run)


def start_verification(
    module_pk: int | None, group_pk: int | None, *, trigger: str, on_insert: OnInsert, actor: str = ""
) -> StartResult:
    """Start the verification of a module, or of a group's enabled modules one after another."""
    if module_pk is None:
        modules = enabled_members(group_pk)
    else:
        modules = list(Module.objects.with_connections().filter(enabled=True, pk=module_pk))
    if not modules:
        return StartResult(outcome=SlotOutcome.SKIPPED, message="There is no enabled module to verify.")
    request = VerificationRequest(trigger=trigger, actor=actor, on_insert=_with_id(on_insert))
    try:
        started = launch_verifications(modules, request)
    except PipekitError as error:
        return _not_started(error)
    return _result(next((row for row in started if row.error), started[0]))


def _with_id(on_insert: OnInsert) -> Callable[[Any], None]:
    return lambda row: on_insert(row.pk)


def _result(row: Execution) -> StartResult:
    if row.error:
        return StartResult(outcome=SlotOutcome.FAILED, run_id=row.pk, message=row.error["message"])
    return StartResult(outcome=SlotOutcome.STARTED, run_id=row.pk)


def _not_started(error: PipekitError, *, waits: bool = False) -> StartResult:
    # a full refresh may be due again only in weeks, so its slot stays reserved and the next ticks try again
    busy = SlotOutcome.RESERVED if waits else SlotOutcome.SKIPPED
    outcome = busy if isinstance(error, AlreadyRunning) else SlotOutcome.FAILED
    return StartResult(outcome=outcome, message=f"{error.message} {error.hint}".strip())
