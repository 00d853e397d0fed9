"""Removes duplicate rows of the destination: rows that share a key are deleted, and one is inserted from staging."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from connections.sdk.errors import CountMismatch
from connections.sdk.schema import Column, ColumnInfo
from connections.sdk.sql.foreign_keys import Deletion, ForeignKey
from runs.engine.destination import Destination
from runs.engine.events import MergeSqlBuilt, TransactionEvents, Warned
from runs.engine.publish import destination_shape, foreign_keys, side_effects, unfilled_columns
from runs.engine.publish.checks import check_deleted
from runs.engine.publish.statements import strategy_input
from runs.engine.strategies.statement import RowCount, Statement

# returns the SQL condition on a row with this alias
RowCondition = Callable[[str], str]


def remove(dest: Destination, columns: Sequence[Column], is_repaired: RowCondition, events: TransactionEvents) -> int:
    """Remove duplicates within the repair's transaction; return by how many rows the table shrinks.

    Duplicates with values in columns that the query does not fill are kept, with a warning, because the insert would
    reset these values. ``is_repaired`` is the condition that a row of the destination is in the repaired part.
    """
    return _Removal(dest, columns, is_repaired, events).execute()


class _Removal:
    def __init__(
        self, dest: Destination, columns: Sequence[Column], is_repaired: RowCondition, events: TransactionEvents
    ) -> None:
        self.dest, self.columns, self.events = dest, columns, events
        self.keys = _duplicate_keys(dest, is_repaired)
        # the numbers of duplicates and of the keys that they share
        self.counting = f"SELECT coalesce(sum(g.pipekit_n), 0), count(*) FROM (\n{self.keys}) g"

    def execute(self) -> int:
        dest = self.dest
        rows, distinct = map(int, dest.session.fetch(self.counting)[0])
        if not rows:
            return 0
        table = destination_shape.lock_and_describe(dest)
        if filled := self._columns_with_values(unfilled_columns.unfilled(table, self.columns)):
            self.events.append(
                Warned(
                    f"{rows} rows of {dest.table} share {distinct} keys and are kept, because columns that the query "
                    f"does not fill hold values in them: {', '.join(filled)}. Delete the duplicates manually."
                )
            )
            return 0
        references = self._check_references()
        may_return = dest.may_change_written_rows()
        before = dest.count(dest.table) if may_return else 0
        inputs = strategy_input(dest, self.columns, table, null_keys=False)
        insert = inputs.dialect.insert_missing(dest.table, dest.staging, inputs.columns, inputs.key, null_safe=False)
        removed = self._replace(insert, references, rows=rows, distinct=distinct, may_return=may_return)
        if may_return:
            self._check_returned(before=before, removed=removed)
        return removed

    def _check_references(self) -> Sequence[ForeignKey]:
        """Check which rows of other tables the delete would affect; return the foreign keys."""
        key = self.dest.plan.merge_key
        deletion = Deletion(keys=self.dest.staging, key=key, returns=False, bound=self._is_duplicate)
        references = foreign_keys.referencing(self.dest)
        self.events += map(Warned, foreign_keys.check(self.dest, references, deletion, what="The repair"))
        return references

    def _replace(
        self, insert: str, references: Sequence[ForeignKey], *, rows: int, distinct: int, may_return: bool
    ) -> int:
        """Delete the duplicates and insert one row for each key; return by how many rows the table shrinks."""
        dest = self.dest
        matching = dest.dialect.delete_matching(dest.table, dest.staging, dest.plan.merge_key, null_safe=False)
        delete = f"{matching}\nAND {self._is_duplicate('d')}"
        self.events.append(MergeSqlBuilt(f"{delete};\n\n{insert};"))
        with foreign_keys.explain_violations(dest, references, returns=False):
            deleted = dest.session.execute(delete)
        statement = Statement(delete, RowCount.DELETED, remaining=self.counting)
        check_deleted(dest, statement, deleted=deleted, targets=rows, may_return=may_return)
        if (inserted := dest.session.execute(insert)) < distinct:
            raise CountMismatch(
                f"Only {inserted} of {distinct} rows could be inserted into {dest.table} in place of duplicates; "
                "nothing was changed.",
                hint="A trigger, a rule or a policy of the table skips rows: remove it, or choose another table.",
            )
        with foreign_keys.explain_violations(dest, references, returns=False):
            side_effects.run_deferred(dest)
        return rows - inserted

    def _check_returned(self, *, before: int, removed: int) -> None:
        """Raise CountMismatch when a trigger inserted duplicates again, or deleted further rows."""
        dest = self.dest
        if dest.fetch_int(self.counting):
            raise CountMismatch(
                f"Rows of {dest.table} that share a key reappear when all but one are deleted; nothing was changed.",
                hint="A trigger or a rule of the table inserts them again: remove it, or delete the rows manually.",
            )
        side_effects.check_remaining(dest, before=before, deleted=removed, what="the repair")

    def _is_duplicate(self, row: str) -> str:
        same = self.dest.dialect.same_key(self.dest.plan.merge_key, row, "g", null_safe=False)
        return f"EXISTS (SELECT 1 FROM (\n{self.keys}) g WHERE {same})"

    def _columns_with_values(self, infos: Sequence[ColumnInfo]) -> list[str]:
        """Return the columns that hold other values in the duplicates than an insert without them would set."""
        if not infos:
            return []
        select_list = unfilled_columns.count_lost(self.dest, infos, row="x")
        target = self.dest.dialect.qualified(self.dest.table)
        counts = self.dest.session.fetch(f"SELECT {select_list} FROM {target} x\nWHERE {self._is_duplicate('x')}")[0]
        return unfilled_columns.with_count(infos, counts)


def _duplicate_keys(dest: Destination, is_repaired: RowCondition) -> str:
    """Return the query for the keys in staging that several rows of the destination share, with their number."""
    dialect, key = dest.dialect, dest.plan.merge_key
    names, same = dialect.columns(key, prefix="x."), dialect.same_key(key, "x", "s", null_safe=False)
    return (
        f"  SELECT {names}, count(*) AS pipekit_n FROM {dialect.qualified(dest.table)} x\n"
        f"  WHERE EXISTS (SELECT 1 FROM {dialect.qualified(dest.staging)} s WHERE {same}) AND {is_repaired('x')}\n"
        f"  GROUP BY {names} HAVING count(*) > 1"
    )
