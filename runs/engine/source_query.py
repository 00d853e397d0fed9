"""The query as the source gets it: tokens replaced, the watermark's condition spliced in, nothing else touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from connections import registry
from connections.sdk.datatypes import DataType, Kind
from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.schema import Column
from modules.predicates import add_predicate
from modules.tokens import replace_tokens
from runs.engine.plan import Plan
from runs.engine.watermarks import Bound, predicate


def base_query(plan: Plan, values: Mapping[str, str]) -> str:
    """Return the user's query with its named watermarks in place: what is probed."""
    if not plan.named_watermarks:
        return plan.source_query
    return replace_tokens(plan.source_query, registry.dialect(plan.source.kind), values)


def bounded_query(plan: Plan, query: str, bound: Bound | None, columns: Sequence[Column]) -> str:
    """Return the query with the bound spliced in; unchanged when there is nothing to bound."""
    if bound is None or bound.value is None:
        return query
    dialect = registry.dialect(plan.source.kind)
    column = next((c for c in columns if c.dest_name == bound.column), None)
    source_type = _source_type(plan, column)
    _check_order(bound, source_type, column)
    if source_type.kind is Kind.TEXT:
        # a moment that is text there may be written as the bare date, which sorts before its midnight
        bound = replace(bound, value=bound.value.removesuffix(" 00:00:00"))
    return add_predicate(
        query,
        dialect,
        bound.column,
        lambda expression: predicate(expression, bound, dialect=dialect, source_type=source_type, overlap=plan.overlap),
        result_name=column.source_name if column else "",
    )


def repair_query(plan: Plan, query: str, columns: Sequence[Column]) -> str:
    """Return the query with the ranges of the key that are to be repaired."""
    repair = plan.repair
    if repair is None or not repair.condition("k"):
        return query
    column = next(column for column in columns if column.dest_name == repair.column)
    dialect = registry.dialect(plan.source.kind)
    return add_predicate(query, dialect, column.dest_name, repair.condition, result_name=column.source_name)


def _source_type(plan: Plan, column: Column | None) -> DataType:
    if column is None or not column.source_type:
        return DataType.unknown()
    return registry.datatypes(plan.source.kind).parse(column.source_type)


def _check_order(bound: Bound, source_type: DataType, column: Column | None) -> None:
    """Refuse a watermark whose order at the source is another than in the destination: rows would be left out.

    As text 100000 sorts before 20000; bytes (a SQL Server rowversion) are written otherwise in every system.
    """
    kinds = {source_type.kind, bound.data_type.kind}
    is_text = source_type.kind is Kind.TEXT or (column is not None and column.trim)
    if Kind.BINARY not in kinds and not (is_text and bound.data_type.is_numeric):
        return
    what = "holds bytes" if Kind.BINARY in kinds else "is a number in the destination and text at the source"
    raise ConfigurationInvalid(
        f"The watermark {bound.column} {what}: its order is not the same everywhere.",
        hint=f"Write it as a number into the query, as in CAST(.. AS bigint) AS {bound.column}.",
    )
