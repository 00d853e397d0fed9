"""What a connector can do. The planner asks before a run starts; nothing fails half way for lack of one."""

from __future__ import annotations

from enum import Flag, auto


class Cap(Flag):
    # lists schemas, tables and their columns
    DISCOVER = auto()
    # reads batches, whole or incremental
    READ = auto()
    # delivers changes continuously
    STREAM = auto()
    # can be queried in place (attached), without copying
    REMOTE = auto()
    # takes rows: staging, publishing
    WRITE = auto()

    NONE = 0

    @classmethod
    def from_names(cls, names: list[str]) -> Cap:
        """Return the flag for manifest words such as ``["discover", "read"]``; KeyError on an unknown one."""
        found = cls.NONE
        for name in names:
            found |= cls[name.upper()]
        return found
