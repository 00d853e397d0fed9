"""Stop the verification of a module that is going on, and wait for its end."""

from __future__ import annotations

import time

from connections.sdk.errors import Cancelled
from modules.models import Module
from runs.models.states import IllegalTransition
from runs.models.verification import ACTIVE, Verification, VerificationStatus
from runs.verifications.launch import reap_dead
from runs.verifications.outcome import Outcome, outcome

CANCELLED = "cancelled"
# seconds after which whoever waits hears how it stands
_WAIT, _LOOK = 25.0, 0.3


def cancel(module: Module) -> tuple[Verification | None, str]:
    """Return the verification and what came of it; None when none was going on."""
    reap_dead()
    row = Verification.objects.filter(module=module, status__in=ACTIVE).first()
    if row is None:
        return None, ""
    row.request_cancel()
    until = time.monotonic() + _WAIT
    while True:
        row.refresh_from_db()
        if row.status == VerificationStatus.QUEUED:
            _end(row)
        if row.is_final:
            ended = outcome(row)
            return row, CANCELLED if ended is Outcome.CANCELLED else f"over already: {ended.label.lower()}"
        if time.monotonic() > until:
            return row, f"asked, and still {row.status}: its process is {row.pid} on {row.host or 'another machine'}"
        time.sleep(_LOOK)


def _end(row: Verification) -> None:
    """End one whose process has not come to it yet."""
    error = Cancelled("The verification was cancelled before it began.", hint="Start it again.")
    try:
        row.finish_error(error.as_dict())
    except IllegalTransition:
        # it began meanwhile, and finds the wish
        row.refresh_from_db()
