"""upsert: rows whose key is there are rewritten in place, new ones added, the others stay."""

from __future__ import annotations

from runs.engine.strategies.statement import Counts, Publication, Statement


def statements(p: Publication) -> list[Statement]:
    if p.is_new or not p.supports_deletes:
        return [p.insert_all()]
    d = p.dialect
    keys = (p.table, p.staging, p.key)
    # a table of nothing but keys has nothing to rewrite
    rewrites = p.rewrites and bool(set(p.columns) - set(p.key))
    if p.has_unique and not p.null_keys and d.has_on_conflict and rewrites:
        matched = Statement(d.count_matching(*keys, null_safe=False), Counts.MATCHED, asks=True)
        return [matched, Statement(d.upsert(p.table, p.staging, p.columns, p.key), Counts.WRITTEN)]
    pairs = Statement(d.count_pairs(*keys, null_safe=p.null_keys), Counts.MATCHED, asks=True)
    update = d.update_matching(p.table, p.staging, p.columns, p.key, null_safe=p.null_keys) if rewrites else ""
    insert = d.insert_missing(p.table, p.staging, p.columns, p.key, null_safe=p.null_keys)
    return [pairs, *([Statement(update, Counts.REWRITTEN)] if update else []), Statement(insert, Counts.INSERTED)]
