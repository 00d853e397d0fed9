"""append: rows are only ever added; what the watermark's boundary made us read again is not added again."""

from __future__ import annotations

from runs.engine.strategies.statement import Counts, Publication, Statement


def statements(p: Publication) -> list[Statement]:
    if p.is_new or not p.watermark:
        return [p.insert_all()]
    args = (p.table, p.staging, p.columns, p.watermark)
    added = Statement(p.dialect.insert_unseen(*args), Counts.ADDED)
    # counted first, and only where it can make a difference: it costs as much as the insert
    return [Statement(p.dialect.count_unseen(*args), Counts.UNSEEN, asks=True), added] if p.may_skip_rows else [added]
