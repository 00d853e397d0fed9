"""Leases of processes on other machines: one without a new heartbeat for `lease_seconds` is considered dead.

The time is measured by the observer's monotonic clock; wall clocks are never compared. Observing processes are
short-lived, so each observation is stored on the row, with the machine and boot that its clock belongs to.
"""

from __future__ import annotations

import time

from runs.models.process_mixin import ProcessMixin
from runs.process import identity
from runs.settings import current


def expired(row: ProcessMixin) -> bool:
    """Return whether the heartbeat has not changed for a whole lease; store this observation for the next call."""
    here = identity.current()
    seen, clock = row.sighting or {}, f"{here.machine} {here.boot}"
    if seen.get("clock") == clock and seen.get("heartbeat") == row.heartbeat:
        return bool(time.monotonic() - float(seen["at"]) >= current().lease_seconds)
    row.sighting = {"clock": clock, "heartbeat": row.heartbeat, "at": time.monotonic()}
    row.note(sighting=row.sighting)
    return False
