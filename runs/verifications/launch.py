"""Starts verifications: in this process for a command, or in a new process for the admin and schedules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from connections.sdk.errors import AlreadyRunning, PipekitError
from connections.sdk.records import dataclass
from modules.models import Module
from runs.launchers.launcher import launcher
from runs.lifecycle.reap import reap_verification, seems_dead
from runs.models.verification import ACTIVE, Verification, VerificationStatus
from runs.process import identity


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationRequest:
    """Who requested a verification, and its options as `Verification.options` stores them."""

    trigger: str = "manual"
    actor: str = ""
    repair: bool = False
    force: bool = False
    options: dict[str, Any] | None = None
    # called with the first new row in the transaction that inserts it; an exception rolls the insert back
    on_insert: Callable[[Any], None] | None = None


def members(group_pk: int | None) -> list[Module]:
    """Return the enabled modules of a group in run order."""
    modules = Module.objects.with_connections().filter(enabled=True, memberships__group=group_pk)
    return list(dict.fromkeys(modules.order_by("memberships__run_order", "pk")))


def claim(module: Module, request: VerificationRequest) -> Verification:
    """Insert a running verification of this process. Raise AlreadyRunning while the module is being verified."""
    here = identity.current().as_fields()
    return _insert(module, request, status=VerificationStatus.RUNNING, started_at=timezone.now(), **here)


def launch(modules: Sequence[Module], request: VerificationRequest) -> list[Verification]:
    """Queue a verification of each module and start one process that executes them one after another.

    Modules that are being verified already are left out; raise AlreadyRunning if that is true of all of them. If the
    process cannot be started, the returned rows have ended with that error.
    """
    queued: list[Verification] = []
    busy: AlreadyRunning | None = None
    for module in modules:
        try:
            own_request = request if not queued else replace(request, on_insert=None)
            queued.append(_insert(module, own_request, status=VerificationStatus.QUEUED))
        except AlreadyRunning as error:
            busy = error
    if not queued:
        if busy is not None:
            raise busy
        return []
    start(queued)
    return queued


def queued_behind(verification: Verification) -> list[Verification]:
    """Return the queued verifications that the process of this one is to execute after it."""
    if (process := verification.process) is None:
        return []
    same = {name: value for name, value in process.as_fields().items() if name != "host"}
    return list(Verification.objects.filter(status=VerificationStatus.QUEUED, **same).order_by("pk"))


def start(queued: Sequence[Verification]) -> None:
    """Start one process that executes queued verifications one after another; if it fails, they end with the error."""
    args = ["carryout", "--verification", *(str(row.pk) for row in queued)]
    try:
        process = launcher().launch(args, log=queued[0].log_file)
    except PipekitError as error:
        for row in queued:
            row.finish_error(error.as_dict())
        return
    if process is not None:
        rows = Verification.objects.filter(pk__in=[row.pk for row in queued], status=VerificationStatus.QUEUED)
        rows.update(**process.as_fields())


def reap_dead() -> int:
    """Finalize verifications whose process has died; return how many."""
    dead = [row for row in Verification.objects.filter(status__in=ACTIVE) if seems_dead(row)]
    return sum(reap_verification(row) for row in dead)


def _insert(module: Module, request: VerificationRequest, **fields: Any) -> Verification:
    for other in Verification.objects.filter(module=module, status__in=ACTIVE):
        if not seems_dead(other):
            raise _busy(module, other)
        reap_verification(other)
    try:
        with transaction.atomic():
            row = Verification.objects.create(
                module=module,
                module_name=module.name,
                trigger=request.trigger,
                actor=request.actor,
                repair=request.repair,
                force=request.force,
                options=request.options or {},
                **fields,
            )
            if request.on_insert is not None:
                request.on_insert(row)
            return row
    except IntegrityError:
        raise _busy(module, Verification.objects.filter(module=module, status__in=ACTIVE).first()) from None


def _busy(module: Module, other: Verification | None) -> AlreadyRunning:
    number = "" if other is None else str(other.pk)
    return AlreadyRunning(
        f"{module.name} is being verified already{f' (verification {number})' if number else ''}.",
        hint=f"Wait until it ends, or stop it: manage.py verifymodule {module.name} --cancel, or Cancel on its page.",
        detail=number,
    )
