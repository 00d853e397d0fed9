"""The report of a tick."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class TickReport:
    """What a tick did, by the names of its triggers."""

    at: dt.datetime
    # names of triggers that were started, skipped (still running, disabled) and missed
    started: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    # name -> reason
    failed: dict[str, str] = field(default_factory=dict)
    # the number of due slots that are left to the next ticks
    waiting: int = 0

    def problems(self) -> list[str]:
        """Return a line for each trigger that was not started as scheduled."""
        lines = [f"{name}: {reason}" for name, reason in self.failed.items()]
        lines += [f"{name}: skipped; it is still running, or disabled" for name in self.skipped]
        return lines + [f"{name}: missed" for name in self.missed]
