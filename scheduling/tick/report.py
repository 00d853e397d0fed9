"""What a tick did, by the names of schedules and full refreshes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class TickReport:
    at: dt.datetime
    # what was started, skipped (still running, switched off), missed
    started: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    # name -> why
    failed: dict[str, str] = field(default_factory=dict)
    # due, and left to the next ticks
    waiting: int = 0

    def troubles(self) -> list[str]:
        """What somebody should know of, a line each."""
        lines = [f"{name}: {why}" for name, why in self.failed.items()]
        lines += [f"{name}: skipped; it still runs, or is switched off" for name in self.skipped]
        return lines + [f"{name}: missed" for name in self.missed]
