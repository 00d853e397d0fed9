"""full: the destination becomes exactly what the source returned."""

from __future__ import annotations

from runs.engine.strategies.statement import Counts, Publication, Statement


def statements(p: Publication) -> list[Statement]:
    if p.is_new:
        return [p.insert_all()]
    sql = p.dialect.empty_table(p.table, truncate=p.truncate)
    if not sql.startswith("DELETE"):
        return [Statement(sql), p.insert_all()]
    return [Statement(sql, Counts.DELETED, remaining=p.dialect.count(p.table)), p.insert_all()]
