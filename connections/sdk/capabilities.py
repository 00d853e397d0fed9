"""Capabilities of connectors. `registry.connector` checks those that a task needs before anything connects."""

from __future__ import annotations

from enum import Flag, auto


class Cap(Flag):
    """What a connector can do."""

    # describes tables and queries: has an introspector
    DISCOVER = auto()
    # reads batches, whole or incremental
    READ = auto()
    # accepts rows: staging, publishing
    WRITE = auto()

    NONE = 0

    @classmethod
    def from_names(cls, names: list[str]) -> Cap:
        """Return the flag for names as in a manifest, such as ``["discover", "read"]``. Raises KeyError if unknown."""
        capabilities = cls.NONE
        for name in names:
            capabilities |= cls[name.upper()]
        return capabilities
