"""append: rows are only ever added; what the watermark's boundary made us read again is not added again."""

from __future__ import annotations

from runs.engine.strategies.statement import Counts, Publication, Statement


def statements(p: Publication) -> list[Statement]:
    if p.is_new or not p.watermark:
        return [p.insert_all()]
    unseen = p.dialect.insert_unseen(p.table, p.staging, p.columns, p.watermark)
    return [Statement(unseen, Counts.ADDED)]
