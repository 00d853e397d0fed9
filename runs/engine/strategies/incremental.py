"""incremental: rows whose key came again are replaced, new ones added, the others stay."""

from __future__ import annotations

from runs.engine.strategies.statement import Counts, Publication, Statement


def statements(p: Publication) -> list[Statement]:
    if p.is_new or not p.supports_deletes:
        return [p.insert_all()]
    d, args = p.dialect, (p.table, p.staging, p.key)
    if p.has_unique and not p.null_keys:
        return [Statement(d.delete_matching(*args, null_safe=False), Counts.REPLACED), p.insert_all()]
    remaining = d.count_matching(*args, null_safe=p.null_keys)
    return [
        Statement(d.count_pairs(*args, null_safe=p.null_keys), Counts.MATCHED, asks=True),
        Statement(d.delete_matching(*args, null_safe=p.null_keys), Counts.DELETED, remaining=remaining),
        p.insert_all(),
    ]
