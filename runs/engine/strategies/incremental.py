"""incremental: replaces the rows whose key was read again, adds new rows, keeps all others."""

from __future__ import annotations

from runs.engine.strategies.statement import RowCount, Statement, StrategyInput


def incremental_statements(p: StrategyInput) -> list[Statement]:
    """Return the statements of incremental in the order of execution."""
    if p.is_new or not p.supports_deletes:
        return [p.insert_all()]
    d, args = p.dialect, (p.table, p.staging, p.key)
    if p.has_unique and not p.null_keys:
        return [Statement(d.delete_matching(*args, null_safe=False), RowCount.REPLACED), p.insert_all()]
    remaining = d.count_matching(*args, null_safe=p.null_keys)
    return [
        Statement(d.count_pairs(*args, null_safe=p.null_keys), RowCount.MATCHED, is_query=True),
        Statement(d.delete_matching(*args, null_safe=p.null_keys), RowCount.DELETED, remaining=remaining),
        p.insert_all(),
    ]
