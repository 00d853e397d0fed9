"""full: the destination becomes exactly what the source returned."""

from __future__ import annotations

from runs.engine.strategies.statement import Publication, Statement


def statements(p: Publication) -> list[Statement]:
    if p.is_new:
        return [p.insert_all()]
    return [Statement(p.dialect.empty_table(p.table, truncate=p.truncate)), p.insert_all()]
