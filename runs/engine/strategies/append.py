"""append: adds rows, and skips those that the destination has already because they lie on the watermark's boundary."""

from __future__ import annotations

from runs.engine.strategies.statement import RowCount, Statement, StrategyInput


def append_statements(p: StrategyInput) -> list[Statement]:
    """Return the statements of append in the order of execution."""
    if p.is_new or not p.watermark:
        return [p.insert_all()]
    args = (p.table, p.staging, p.columns, p.watermark)
    added = Statement(p.dialect.insert_missing_copies(*args), RowCount.ADDED)
    # counted before the insert, and only if rows may be skipped, because it costs as much as the insert
    return (
        [Statement(p.dialect.count_missing_copies(*args), RowCount.MISSING_COPIES, is_query=True), added]
        if p.may_change_written_rows
        else [added]
    )
