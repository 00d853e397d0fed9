"""Inserts the row of a verification, which is also its lock: a module is verified once at a time.

A verification whose process is dead does not prevent the next one, which finalizes it first.
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from connections.sdk.errors import AlreadyRunning
from connections.sdk.records import dataclass
from modules.models import Module
from runs import logs
from runs.lifecycle.insert import ExecutionRequest
from runs.lifecycle.liveness import seems_dead
from runs.lifecycle.reap import reap_row
from runs.models.verification import ACTIVE, Verification, VerificationStatus
from runs.process import identity


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationRequest(ExecutionRequest):
    """Who requested a verification, and its options as `Verification.options` stores them.

    Of several verifications, ``on_insert`` is called with the first.
    """

    repair: bool = False
    options: dict[str, Any] | None = None


def insert_verification(module: Module, request: VerificationRequest) -> Verification:
    """Insert a running verification of this process. Raise AlreadyRunning while the module is being verified."""
    here = identity.current().as_fields()
    return _insert(module, request, status=VerificationStatus.RUNNING, started_at=timezone.now(), **here)


def queue_verification(module: Module, request: VerificationRequest) -> Verification:
    """Insert a queued verification. Raises as `insert_verification`."""
    return _insert(module, request, status=VerificationStatus.QUEUED)


def _insert(module: Module, request: VerificationRequest, **fields: Any) -> Verification:
    for other in Verification.objects.filter(module=module, status__in=ACTIVE):
        if not seems_dead(other):
            raise _busy(module, other)
        reap_row(other)
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
            # before the commit: no other process knows the row yet
            logs.rename_earlier_log(row)
            request.inserted(row)
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
