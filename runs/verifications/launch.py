"""Begin verifications: here and now for a command, or in a process of its own for the admin and schedules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from connections.sdk.errors import AlreadyRunning, Lost, PipekitError
from modules.models import Module
from runs.launchers.launcher import launcher
from runs.lifecycle.reap import seems_dead
from runs.models.states import IllegalTransition
from runs.models.verification import ACTIVE, Verification, VerificationStatus
from runs.process import identity


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationRequest:
    """How a verification was asked for; ``options`` as the row keeps them."""

    trigger: str = "manual"
    actor: str = ""
    repair: bool = False
    force: bool = False
    options: dict[str, Any] | None = None
    # called with the first new row in the transaction that inserts it; what it raises undoes the insert
    on_insert: Callable[[Any], None] | None = None


def members(group_pk: int | None) -> list[Module]:
    """Return the enabled modules of a group in their order."""
    modules = Module.objects.with_connections().filter(enabled=True, memberships__group=group_pk)
    return list(dict.fromkeys(modules.order_by("memberships__run_order", "pk")))


def claim(module: Module, request: VerificationRequest) -> Verification:
    """Insert the verification as this process's. Raises AlreadyRunning while the module is being verified."""
    here = identity.current().as_fields()
    return _insert(module, request, status=VerificationStatus.RUNNING, started_at=timezone.now(), **here)


def launch(modules: Sequence[Module], request: VerificationRequest) -> list[Verification]:
    """Queue a verification of each module and start one process that carries them out one after another.

    Raises AlreadyRunning when all of them are being verified already; those that are, are left out. A process that
    cannot be started is the returned rows' error.
    """
    queued: list[Verification] = []
    busy: AlreadyRunning | None = None
    for module in modules:
        try:
            asked = request if not queued else replace(request, on_insert=None)
            queued.append(_insert(module, asked, status=VerificationStatus.QUEUED))
        except AlreadyRunning as error:
            busy = error
    if not queued:
        if busy is not None:
            raise busy
        return []
    words = ["carryout", "--verification", *(str(row.pk) for row in queued)]
    try:
        process = launcher().launch(words, log=queued[0].log_file)
    except PipekitError as error:
        for row in queued:
            row.finish_error(error.as_dict())
        return queued
    for row in queued:
        if process is not None:
            row.assign_process(**process.as_fields())
    return queued


def reap_dead() -> int:
    """End verifications whose process is gone; return how many."""
    dead = [row for row in Verification.objects.filter(status__in=ACTIVE) if seems_dead(row)]
    return sum(_settle(row) for row in dead)


def _settle(row: Verification) -> bool:
    error = Lost("The process of this verification ended without a word.", hint="Start it again.")
    try:
        row.finish_error(error.as_dict())
    except IllegalTransition:
        return False
    return True


def _insert(module: Module, request: VerificationRequest, **fields: Any) -> Verification:
    for other in Verification.objects.filter(module=module, status__in=ACTIVE):
        if not seems_dead(other):
            raise _busy(module, other)
        _settle(other)
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
        hint=f"Wait for its end, or stop it: manage.py verifymodule {module.name} --cancel, or Cancel on its page.",
        detail=number,
    )
