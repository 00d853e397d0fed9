"""Cancels verifications, as `runs.lifecycle.cancel` does runs."""

from __future__ import annotations

from modules.models import Module
from runs.lifecycle import cancel as cancelling
from runs.lifecycle.cancel import CancelResult
from runs.lifecycle.reap import reap_verifications
from runs.models.verification import ACTIVE, Verification
from runs.verifications.launch import queued_behind, start, take_over_queued_behind
from runs.verifications.outcome import outcome_of

CANCELLED = "cancelled"


def cancel(module: Module) -> tuple[Verification | None, str]:
    """Cancel the module's active verification; return it and the result in words, None if there is none."""
    reap_verifications()
    row = Verification.objects.filter(module=module, status__in=ACTIVE).first()
    return (None, "") if row is None else (row, described(row, stop(row)))


def request(verification: Verification) -> CancelResult:
    """Request the cancel and return at once; a separate process calls `stop`."""
    return _with_next(verification, cancelling.cancel(verification))


def stop(verification: Verification) -> CancelResult:
    """Cancel the verification and wait until it has ended."""
    return _with_next(verification, cancelling.stop(verification, terminate=not queued_behind(verification)))


def _with_next(verification: Verification, result: CancelResult) -> CancelResult:
    """Start another process for the verifications that a killed one was to execute next; return the result.

    Of several concurrent cancels only the one that takes them over starts it.
    """
    is_killed = result is CancelResult.CANCELLED and verification.process is not None and verification.process.is_dead()
    if is_killed and (waiting := take_over_queued_behind(verification)):
        start(waiting)
    return result


def described(verification: Verification, result: CancelResult) -> str:
    """Return the result of `stop` in words."""
    if result is CancelResult.CANCELLED:
        return CANCELLED
    if result is CancelResult.ENDED:
        return f"over already: {outcome_of(verification).label.lower()}"
    where = verification.host or "another machine"
    return f"requested, still {verification.status}: its process is {verification.pid} on {where}"
