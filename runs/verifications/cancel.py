"""Cancels verifications, as `runs.lifecycle.cancel` does runs."""

from __future__ import annotations

from modules.models import Module
from runs.lifecycle.cancel import CancelResult, cancel_execution, stop_execution
from runs.lifecycle.reap import reap_if_dead
from runs.models.verification import ACTIVE, Verification
from runs.verifications.launch import queued_behind, start_verifications, take_over_queued_behind
from runs.verifications.outcome import outcome_of

CANCELLED = "cancelled"


def stop_verification_of(module: Module) -> tuple[Verification | None, str]:
    """Cancel the module's active verification; return it and the result in words, None if there is none."""
    active = Verification.objects.filter(module=module, status__in=ACTIVE)
    for dead in active:
        reap_if_dead(dead)
    row = active.all().first()
    return (None, "") if row is None else (row, described(row, stop_verification(row)))


def cancel_verification(verification: Verification) -> CancelResult:
    """Request the cancel and return at once; a separate process calls `stop_verification`."""
    return _with_next(verification, cancel_execution(verification))


def stop_verification(verification: Verification) -> CancelResult:
    """Cancel the verification and wait until it has ended."""
    return _with_next(verification, stop_execution(verification, terminate=not queued_behind(verification)))


def _with_next(verification: Verification, result: CancelResult) -> CancelResult:
    """Start another process for the verifications that a killed one was to execute next; return the result.

    Of several concurrent cancels only the one that takes them over starts it.
    """
    is_killed = result is CancelResult.CANCELLED and verification.process is not None and verification.process.is_dead()
    if is_killed and (waiting := take_over_queued_behind(verification)):
        start_verifications(waiting)
    return result


def described(verification: Verification, result: CancelResult) -> str:
    """Return the result of `stop_verification` in words."""
    if result is CancelResult.CANCELLED:
        return CANCELLED
    if result is CancelResult.ENDED:
        return f"over already: {outcome_of(verification).label.lower()}"
    where = verification.host or "another machine"
    return f"requested, still {verification.status}: its process is {verification.pid} on {where}"
