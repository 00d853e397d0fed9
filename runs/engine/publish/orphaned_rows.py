"""Rows of other tables that lose the row they reference, where the system does not enforce foreign keys: reported."""

from __future__ import annotations

from collections.abc import Sequence

from connections.sdk.errors import QueryInvalid
from connections.sdk.protocols import Session
from connections.sdk.sql.foreign_keys import ForeignKey, count_orphans
from runs.engine.plan import Plan
from runs.engine.publish.staging import dialect_of


class OrphanedRows:
    """Counts them when it is made, and again for the warnings. No key that is enforced costs anything."""

    def __init__(self, session: Session, plan: Plan, keys: Sequence[ForeignKey]) -> None:
        self._opened, self._plan = session, plan
        counts = [(key, self._count(key)) for key in keys if not key.enforced]
        self._before = [(key, count) for key, count in counts if count is not None]

    def warnings(self) -> list[str]:
        """Return one text for each foreign key that more rows break than before."""
        return [
            f"Rows of {key} reference rows of {self._plan.dest_table} that are gone now ({after - before} of them): "
            "the connection does not enforce foreign keys, so nothing kept those rows and nothing cascaded."
            for key, before in self._before
            if (after := self._count(key)) is not None and after > before
        ]

    def _count(self, key: ForeignKey) -> int | None:
        """Return None for a table that cannot be counted, such as one with a collation of another program."""
        try:
            return int(self._opened.fetch(count_orphans(dialect_of(self._plan), key))[0][0])
        except QueryInvalid:
            return None
