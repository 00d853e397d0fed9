"""Owners on other machines: one whose heartbeat stands still for the lease, by the observer's own clock, is dead.

Wall clocks are never compared. Observers live shorter than the lease, so what they saw is kept on the row, with the
machine and boot whose steady clock it is.
"""

from __future__ import annotations

import time

from runs.models.process_mixin import ProcessMixin
from runs.process import identity
from runs.settings import setting


def expired(row: ProcessMixin) -> bool:
    """Whether the row's heartbeat has stood still for the lease; notes what is seen for the next look."""
    here = identity.current()
    seen, clock = row.sighting or {}, f"{here.machine} {here.boot}"
    if seen.get("clock") == clock and seen.get("heartbeat") == row.heartbeat:
        return bool(time.monotonic() - float(seen["at"]) >= setting("lease_seconds"))
    row.sighting = {"clock": clock, "heartbeat": row.heartbeat, "at": time.monotonic()}
    row.note(sighting=row.sighting)
    return False
