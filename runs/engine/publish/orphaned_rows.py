"""Warns about rows of other tables whose referenced row was deleted because foreign keys are not enforced."""

from __future__ import annotations

from collections.abc import Sequence

from connections.sdk.errors import QueryInvalid
from connections.sdk.protocols import Session
from connections.sdk.sql.foreign_keys import ForeignKey, count_orphans
from runs.engine.plan import Plan
from runs.engine.publish.staging import dialect_of


class OrphanedRows:
    """Counts orphaned rows when it is created, and again for the warnings; enforced foreign keys are skipped."""

    def __init__(self, session: Session, plan: Plan, keys: Sequence[ForeignKey]) -> None:
        self._session, self._plan = session, plan
        counts = [(key, self._count(key)) for key in keys if not key.enforced]
        self._before = [(key, count) for key, count in counts if count is not None]

    def warnings(self) -> list[str]:
        """Return one text for each foreign key that more rows violate than before."""
        return [
            f"Rows of {key} reference rows of {self._plan.dest_table} that were deleted ({after - before} of them): "
            "the connection does not enforce foreign keys, so nothing prevented the delete and nothing cascaded."
            for key, before in self._before
            if (after := self._count(key)) is not None and after > before
        ]

    def _count(self, key: ForeignKey) -> int | None:
        """Return the number of orphaned rows; None if the query fails, for example for an unknown collation."""
        try:
            return int(self._session.fetch(count_orphans(dialect_of(self._plan), key))[0][0])
        except QueryInvalid:
            return None
