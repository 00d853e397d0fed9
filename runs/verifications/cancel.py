"""Cancels the active verification of a module and waits until it has ended."""

from __future__ import annotations

import time

from connections.sdk.errors import Cancelled
from modules.models import Module
from runs.models.states import IllegalTransition
from runs.models.verification import ACTIVE, Verification, VerificationStatus
from runs.verifications.launch import reap_dead
from runs.verifications.outcome import Outcome, outcome

CANCELLED = "cancelled"
_TIMEOUT_SECONDS, _POLL_SECONDS = 25.0, 0.3


def cancel(module: Module) -> tuple[Verification | None, str]:
    """Return the verification and the result in words; None if no verification is active."""
    reap_dead()
    row = Verification.objects.filter(module=module, status__in=ACTIVE).first()
    if row is None:
        return None, ""
    row.request_cancel()
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        row.refresh_from_db()
        if row.status == VerificationStatus.QUEUED:
            _finish_queued(row)
        if row.is_final:
            ended = outcome(row)
            return row, CANCELLED if ended is Outcome.CANCELLED else f"over already: {ended.label.lower()}"
        if time.monotonic() > deadline:
            return row, f"requested, still {row.status}: its process is {row.pid} on {row.host or 'another machine'}"
        time.sleep(_POLL_SECONDS)


def cancelled_before_start() -> dict[str, str]:
    """Return the error of a verification that was cancelled while it was queued."""
    return Cancelled("The verification was cancelled before it started.", hint="Start it again.").as_dict()


def _finish_queued(row: Verification) -> None:
    """Finalize a verification that its process has not started yet."""
    try:
        row.finish_error(cancelled_before_start())
    except IllegalTransition:
        # it has started meanwhile, and sees the request
        row.refresh_from_db()
