"""Starts processes that execute queued verifications, for the admin and schedules."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from connections.sdk.errors import AlreadyRunning, PipekitError
from modules.models import Module
from runs.launchers.launcher import configured_launcher
from runs.lifecycle.launch import unstored_process_logged
from runs.models.transitions import IllegalTransition
from runs.models.verification import Verification, VerificationStatus
from runs.process import identity
from runs.verifications.insert import VerificationRequest, queue_verification


def enabled_members(group_pk: int | None) -> list[Module]:
    """Return the enabled modules of a group in run order."""
    modules = Module.objects.with_connections().filter(enabled=True, memberships__group=group_pk)
    return list(dict.fromkeys(modules.order_by("memberships__run_order", "pk")))


def launch_verifications(modules: Sequence[Module], request: VerificationRequest) -> list[Verification]:
    """Queue a verification of each module and start one process that executes them one after another.

    Modules that are being verified already are left out; raise AlreadyRunning if that is true of all of them. If the
    process cannot be started, the returned rows have ended with that error.
    """
    queued: list[Verification] = []
    busy: AlreadyRunning | None = None
    for module in modules:
        try:
            own_request = request if not queued else replace(request, on_insert=None)
            queued.append(queue_verification(module, own_request))
        except AlreadyRunning as error:
            busy = error
    if not queued:
        if busy is not None:
            raise busy
        return []
    start_verifications(queued)
    return queued


def queued_behind(verification: Verification) -> list[Verification]:
    """Return the queued verifications that the process of this one is to execute after it."""
    if (process := verification.process) is None:
        return []
    return list(Verification.objects.filter(**_queued_for(process)).order_by("pk"))


def take_over_queued_behind(verification: Verification) -> list[Verification]:
    """Assign the verifications that `queued_behind` returns to this process; return those not taken over by another."""
    if (process := verification.process) is None:
        return []
    here = identity.current().as_fields()
    waiting = Verification.objects.filter(**_queued_for(process))
    return [row for row in queued_behind(verification) if waiting.filter(pk=row.pk).update(**here)]


def _queued_for(process: identity.ProcessIdentity) -> dict[str, Any]:
    same = {name: value for name, value in process.as_fields().items() if name != "host"}
    return {"status": VerificationStatus.QUEUED, **same}


def start_verifications(queued: Sequence[Verification]) -> None:
    """Start one process that executes queued verifications one after another; if it fails, they end with the error."""
    args = ["carryout", "--verification", *(str(row.pk) for row in queued)]
    try:
        process = configured_launcher().launch(args, log=queued[0].log_file)
    except PipekitError as error:
        for row in queued:
            # one that was cancelled meanwhile has ended
            with suppress(IllegalTransition):
                row.finish_error(error.as_dict())
        return
    if process is not None:
        rows = Verification.objects.filter(pk__in=[row.pk for row in queued], status=VerificationStatus.QUEUED)
        with unstored_process_logged(queued[0]):
            rows.update(**process.as_fields())
