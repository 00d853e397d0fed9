"""Builds the query that is sent to the source: replaces placeholders and adds conditions."""

from __future__ import annotations

from collections.abc import Sequence

from connections import registry
from connections.sdk.schema import Column
from modules.query.column_mapping import map_columns
from modules.query.placeholders import replace_placeholders
from modules.query.rewrite import add_predicate
from runs.engine.events import SourceQueryBuilt, StepEvents, WatermarkResolved
from runs.engine.plan import Plan
from runs.engine.watermarks.bounds import Bound, predicate, resolve_named
from runs.engine.watermarks.types import check_pair, source_type


def resolved_query(plan: Plan) -> StepEvents[str]:
    """Resolve the named watermarks of the user's query, yielding events; return the query with their values."""
    values: dict[str, str] = {}
    for event in resolve_named(plan):
        if isinstance(event, WatermarkResolved):
            values[event.name] = event.value or ""
        yield event
    if not plan.named_watermarks:
        return plan.source_query
    return replace_placeholders(plan.source_query, registry.dialect(plan.source.kind), values)


def bounded_query(plan: Plan, query: str, bound: Bound | None, columns: Sequence[Column]) -> str:
    """Return the query with the watermark's condition; unchanged if there is no bound."""
    if bound is None or bound.value is None:
        return query
    dialect = registry.dialect(plan.source.kind)
    column = next((c for c in columns if c.dest_name == bound.column), None)
    check_pair(plan, bound.column, bound.data_type, column)
    return add_predicate(
        query,
        dialect,
        bound.column,
        lambda expression: predicate(
            expression, bound, dialect=dialect, source_type=source_type(plan, column), overlap=plan.overlap
        ),
        result_name=column.source_name if column else "",
    )


def repair_query(plan: Plan, query: str, columns: Sequence[Column]) -> str:
    """Return the query restricted to the key ranges of the plan's repair."""
    repair = plan.repair
    if repair is None or not repair.condition("k"):
        return query
    column = next(column for column in columns if column.dest_name == repair.column)
    dialect = registry.dialect(plan.source.kind)
    return add_predicate(query, dialect, column.dest_name, repair.condition, result_name=column.source_name)


def source_query_event(plan: Plan, query: str, built: str) -> SourceQueryBuilt:
    """Return the event for the source query ``built`` from the user's query, which a condition may have changed."""
    if built == query:
        return SourceQueryBuilt(built)
    return SourceQueryBuilt(built, map_columns(query, registry.dialect(plan.source.kind)).why)
