"""upsert: updates the rows whose key exists in place, adds new rows, keeps all others."""

from __future__ import annotations

from runs.engine.strategies.statement import RowCount, Statement, StrategyInput


def upsert_statements(p: StrategyInput) -> list[Statement]:
    """Return the statements of upsert in the order of execution."""
    if p.is_new or not p.supports_deletes:
        return [p.insert_all()]
    d = p.dialect
    keys = (p.table, p.staging, p.key)
    # without columns besides the key there is nothing to update
    rewrites = p.rewrites and bool(set(p.columns) - set(p.key))
    if p.has_unique and not p.null_keys and d.has_on_conflict and rewrites:
        if p.tells_upserted:
            # without a join that counts the matching rows before
            counted = d.counted_upsert(p.table, p.staging, p.columns, p.key)
            return [Statement(counted, RowCount.WRITTEN, is_query=True, second=RowCount.MATCHED)]
        matched = Statement(d.count_matching(*keys, null_safe=False), RowCount.MATCHED, is_query=True)
        return [matched, Statement(d.upsert(p.table, p.staging, p.columns, p.key), RowCount.WRITTEN)]
    pairs = Statement(d.count_pairs(*keys, null_safe=p.null_keys), RowCount.MATCHED, is_query=True)
    update = d.update_matching(p.table, p.staging, p.columns, p.key, null_safe=p.null_keys) if rewrites else ""
    insert = d.insert_missing(p.table, p.staging, p.columns, p.key, null_safe=p.null_keys)
    return [pairs, *([Statement(update, RowCount.REWRITTEN)] if update else []), Statement(insert, RowCount.INSERTED)]
