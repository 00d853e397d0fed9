"""The statements and checks of the publish transaction.

The transaction, in order:

1. Set the lock timeout and lock the table.
2. Return if the run is published already; check that it still holds the claim on staging.
3. Check the destination table, the safety limits, that staging is complete, and its keys.
4. Check which rows of other tables would be affected.
5. Execute the strategy's statements, checking the row count of each delete; run deferred triggers.
6. Check what triggers did, and that all rows arrived.
7. Write the commit record; COMMIT.

`publish_transaction` executes 1, 2 and 7. If staging takes the place of the table (see `exchange`), it is counted, and
the statements of the exchange stand for 4 to 6, which only concern rows that are copied.
"""

from __future__ import annotations

from collections.abc import Sequence

from connections.sdk.errors import InvalidValue
from connections.sdk.schema import TableInfo, TableName
from connections.sdk.sql.foreign_keys import ForeignKey
from runs.engine.destination import Destination
from runs.engine.events import MergeSqlBuilt, MethodChosen, Published, TransactionEvents, Warned
from runs.engine.faults import point
from runs.engine.publish import (
    destination_shape,
    destination_table,
    exchange,
    foreign_keys,
    safety_limits,
    side_effects,
    unfilled_columns,
)
from runs.engine.publish.checks import check_arrived, check_complete, check_deleted, check_keys, check_numbered
from runs.engine.publish.method import PublishMethod
from runs.engine.publish.staging import StagedRows
from runs.engine.publish.statements import publish_statements, strategy_input
from runs.engine.strategies.statement import RowCount, Statement
from runs.engine.watermarks.warnings import WatermarkCounts, count_watermarks, published_warnings, staged_warnings


class PublishTransaction:
    """Parts 3 to 6 of one publish transaction. ``events`` receives its warnings and statements."""

    def __init__(
        self,
        dest: Destination,
        staged: StagedRows,
        watermark_counts: WatermarkCounts | None,
        highest: str | None,
        events: TransactionEvents,
    ) -> None:
        self.dest, self.plan, self.staged, self.events = dest, dest.plan, staged, events
        self.watermark_counts, self.highest = watermark_counts, highest
        self.method = staged.method.method
        self.is_full = dest.plan.strategy.traits.replaces_all
        # the destination table as it is now, None if this run creates it
        self.table: TableInfo | None = None
        # the rows that a full refresh replaces, and the unfilled columns whose values it resets
        self.replaced, self.filled = 0, list[str]()
        # the rows of the table before the statements, needed if it may skip rows
        self.before = 0
        self.null_keys = self.may_change_written_rows = False

    def apply(self, prepared: Sequence[str]) -> Published:
        """Execute the statements with all checks. ``prepared`` are those that prepared an exchange."""
        self._check_table()
        if self.method is PublishMethod.SWAP:
            check_complete(self.dest, self.staged)
            if not (problems := exchange.problems(self.dest, self.staged, self.table)):
                return self._exchange(prepared)
            self._copy_instead(problems)
        self._check_staging()
        references, orphaned = self._check_references()
        self._warn(unfilled_columns.check_full(self.dest, self.table, self.filled, emptied=False))
        counts = self._execute(self._statements(), references)
        self._warn(orphaned.warnings())
        self._check_result(counts)
        return self._published(counts)

    def _copy_instead(self, problems: tuple[str, ...]) -> None:
        chosen = exchange.chosen_instead(self.dest, self.table, problems)
        self.method = chosen.method
        self.events.append(MethodChosen(chosen.method, chosen.why))

    def _exchange(self, prepared: Sequence[str]) -> Published:
        """Let staging take the place of the table, which is locked and equal to it but for the rows."""
        dest, staged = self.dest, self.staged
        self._warn_of_watermarks()
        self._warn(unfilled_columns.check_full(dest, self.table, self.filled, emptied=False))
        watermark = self._highest(dest.staging)
        statements = exchange.statements(dest, self.table)
        self.events.append(MergeSqlBuilt(";\n\n".join([*prepared, *statements]) + ";"))
        exchange.execute(dest, statements)
        kept = exchange.record(dest, staged, self.table)
        return self._with_warnings(
            Published(
                inserted=staged.rows,
                updated=0,
                deleted=self.replaced,
                watermark_column=self.plan.watermark,
                watermark=watermark,
                kept_bytes=kept,
            )
        )

    def _warn(self, texts: Sequence[str]) -> None:
        self.events += map(Warned, texts)

    def _check_table(self) -> None:
        """Lock the destination table against ALTER TABLE; check it, and the safety limit of a full refresh."""
        dest, staged = self.dest, self.staged
        self.table = destination_shape.lock_and_describe(dest, known_kind=staged.table_kind)
        destination_shape.check(dest, staged, self.table)
        destination_table.check_columns(self.plan, self.table, staged.columns)
        if self.is_full and self.table is not None:
            # counted before the statements, because TRUNCATE has no row count
            if unfilled := unfilled_columns.unfilled(self.table, staged.columns):
                self.replaced, self.filled = unfilled_columns.count_filled(dest, unfilled)
            else:
                self.replaced = dest.count(dest.table)
        if warning := safety_limits.check_full(self.plan, staged=staged.rows, present=self.replaced):
            self._warn([warning])

    def _check_staging(self) -> None:
        """Check that staging is complete, its keys and its watermarks."""
        if not self.is_full:
            check_complete(self.dest, self.staged)
        check_numbered(self.dest, self.staged, self.table)
        self.null_keys = check_keys(self.dest, self.staged)
        self._warn_of_watermarks()

    def _warn_of_watermarks(self) -> None:
        if self.watermark_counts is None:
            self.watermark_counts = count_watermarks(self.dest, self.staged.columns)
        self._warn(list(staged_warnings(self.plan, self.watermark_counts)))

    def _check_references(self) -> tuple[Sequence[ForeignKey], foreign_keys.OrphanedRows]:
        """Check which rows of other tables the deletes would affect; return the keys and orphaned rows."""
        dest = self.dest
        deletion = foreign_keys.deletion(dest, self.table, null_keys=self.null_keys)
        keys = foreign_keys.referencing(dest) if foreign_keys.may_break(dest, self.table, deletion) else ()
        orphaned = foreign_keys.OrphanedRows(dest, keys)
        if deletion:
            what = f"Replacing rows of {dest.table} by DELETE"
            self._warn(foreign_keys.check(dest, keys, deletion, what=what))
        return keys, orphaned

    def _statements(self) -> list[Statement]:
        dest, columns = self.dest, self.staged.columns
        self.may_change_written_rows = side_effects.may_occur(dest, self.table)
        self.before = dest.count(dest.table) if self.may_change_written_rows and not self.is_full else self.replaced
        inputs = strategy_input(
            dest,
            columns,
            self.table,
            null_keys=self.null_keys,
            truncate=self.method is not PublishMethod.DELETE,
            may_change_written_rows=self.may_change_written_rows,
        )
        built = publish_statements(dest, columns, self.table, inputs)
        self.events.append(MergeSqlBuilt(";\n\n".join(statement.sql for statement in built) + ";"))
        return built

    def _execute(self, built: Sequence[Statement], references: Sequence[ForeignKey]) -> dict[RowCount, int]:
        """Execute the statements, then deferred triggers; return the row counts by their meaning."""
        counts: dict[RowCount, int] = {RowCount.TARGETS: self.replaced} if self.is_full else {}
        with foreign_keys.explain_violations(self.dest, references):
            for statement in built:
                rows, *targets = self._rows(statement, replaces=RowCount.REPLACED in counts)
                counts[statement.row_count] = counts.get(statement.row_count, 0) + max(rows, 0)
                if targets:
                    counts[statement.second] = targets[0]
                if statement.row_count is RowCount.DELETED:
                    check_deleted(self.dest, statement, deleted=rows, targets=counts[RowCount.TARGETS])
                point("publish.between_statements")
            side_effects.run_deferred(self.dest)
        return counts

    def _rows(self, statement: Statement, *, replaces: bool) -> list[int]:
        session = self.dest.session
        try:
            if statement.is_query:
                return list(map(int, session.fetch(statement.sql)[0]))
            return [session.execute(statement.sql)]
        except InvalidValue as error:
            if replaces:
                # because the key is unique, a row that was not deleted conflicts with the one that replaces it
                error.hint += " Or a trigger, a rule or a policy of the table keeps rows that are to be replaced."
            raise

    def _check_result(self, counts: dict[RowCount, int]) -> None:
        """Check what triggers did, and that all rows arrived."""
        dest, staged = self.dest, self.staged
        self._warn(unfilled_columns.check_full(dest, self.table, self.filled, emptied=True))
        if self.is_full and counts[RowCount.WRITTEN] != staged.rows:
            # its insert copies all of staging, so its row count is the number of staged rows
            check_complete(dest, staged)
        if self.may_change_written_rows:
            self._warn(side_effects.check(dest, staged, counts, before=self.before, null_keys=self.null_keys))
        check_arrived(dest, staged, counts)

    def _published(self, counts: dict[RowCount, int]) -> Published:
        dest, plan = self.dest, self.plan
        matched = counts.get(RowCount.MATCHED, 0) + counts.get(RowCount.REPLACED, 0)
        if plan.repair is not None and not plan.repair.rewrites:
            # existing rows were not changed
            matched = 0
        insert_only = not plan.supports_deletes and plan.strategy.traits.needs_key
        new = counts.get(RowCount.INSERTED, 0) + counts.get(RowCount.ADDED, 0)
        return self._with_warnings(
            Published(
                inserted=new or max(counts.get(RowCount.WRITTEN, 0) - matched, 0),
                # an insert-only system merges rows itself, later, and does not report how many
                updated=None if insert_only else matched,
                deleted=self.replaced,
                watermark_column=plan.watermark,
                watermark=self._highest(dest.table),
            )
        )

    def _highest(self, table: TableName) -> str | None:
        """Return the highest watermark, which the table has now, as text; None without a watermark."""
        if not self.plan.watermark:
            return None
        if self.highest is not None and not self.may_change_written_rows:
            return self.highest
        value: str | None = self.dest.session.fetch(self.dest.dialect.maximum(table, self.plan.watermark))[0][0]
        return value

    def _with_warnings(self, published: Published) -> Published:
        assert self.watermark_counts is not None
        self._warn(list(published_warnings(self.dest, self.staged.columns, self.watermark_counts, published.watermark)))
        return published
