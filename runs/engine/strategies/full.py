"""full: replaces all rows of the destination with those of the source."""

from __future__ import annotations

from runs.engine.strategies.statement import RowCount, Statement, StrategyInput


def full_statements(p: StrategyInput) -> list[Statement]:
    """Return the statements of full in the order of execution."""
    if p.is_new:
        return [p.insert_all()]
    sql = p.dialect.empty_table(p.table, truncate=p.truncate)
    if not sql.startswith("DELETE"):
        return [Statement(sql), p.insert_all()]
    return [Statement(sql, RowCount.DELETED, remaining=p.dialect.count(p.table)), p.insert_all()]
