"""A DELETE of rows that were counted before: within the safety limit, the foreign keys and the number counted.

key_sync and the repair of a verification delete with it, inside their own transactions.
"""

from __future__ import annotations

from connections.sdk.records import dataclass
from connections.sdk.sql.foreign_keys import Deletion
from runs.engine.destination import Destination
from runs.engine.events import MergeSqlBuilt, TransactionEvents, Warned
from runs.engine.publish import foreign_keys, safety_limits, side_effects
from runs.engine.publish.checks import check_deleted
from runs.engine.strategies.statement import RowCount, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedDelete:
    """The DELETE ``sql`` of the rows that ``deletion`` describes and the query ``counting`` counts.

    ``what`` names it at the beginning of a message. ``published`` is the number of rows that the run published before,
    if known.
    """

    sql: str
    counting: str
    deletion: Deletion
    what: str
    published: int | None = None

    def execute(self, dest: Destination, *, number: int, present: int, events: TransactionEvents) -> int:
        """Delete the ``number`` rows counted, of the ``present`` rows of the table; return how many were deleted.

        Raises Refused above max_delete_share, or when rows of other tables would change; CountMismatch when other rows
        were deleted. ``events`` receives the warnings and the statement.
        """
        if warning := safety_limits.check_deletes(
            dest.plan, deleting=number, present=present, what=self.what, published=self.published
        ):
            events.append(Warned(warning))
        references = foreign_keys.referencing(dest) if number else ()
        warnings = foreign_keys.check(dest, references, self.deletion, what=self.what, published=self.published)
        events += map(Warned, warnings)
        orphaned = foreign_keys.OrphanedRows(dest, references)
        events.append(MergeSqlBuilt(f"{self.sql};"))
        with foreign_keys.explain_violations(dest, references, returns=False):
            deleted = dest.session.execute(self.sql) if number else 0
            side_effects.run_deferred(dest)
        statement = Statement(self.sql, RowCount.DELETED, remaining=self.counting)
        may_return = bool(number) and dest.may_change_written_rows()
        check_deleted(dest, statement, deleted=deleted, targets=number, may_return=may_return)
        if may_return:
            what = self.what[0].lower() + self.what[1:]
            side_effects.check_remaining(dest, before=present, deleted=number, what=what)
        events += map(Warned, orphaned.warnings())
        return deleted
