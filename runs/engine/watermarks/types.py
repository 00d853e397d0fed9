"""Checks that a watermark's type has an order, and that its types at source and destination order values alike.

A bound is a value of the destination that is sent to the source. It is safe if the source sorts it at or below every
newer row, whatever the destination's own order: collations may differ, the text forms of a value may not.
"""

from __future__ import annotations

from connections import registry
from connections.sdk.errors import ConfigurationInvalid, PipekitError, TransientError
from connections.sdk.schema import Column
from connections.sdk.types import DataType, Kind
from runs.engine.destination import Destination
from runs.engine.plan import Plan

# kinds of types, besides numbers, of which every system has a maximum
_ORDERED = frozenset({Kind.TEXT, Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.UNKNOWN})
_HINT = "Name a number, a date or a timestamp that grows as watermark_column; or use upsert without one, or full."


def check_watermark_types(dest: Destination, columns: tuple[Column, ...]) -> None:
    """Raise ConfigurationInvalid, before the transfer, for a watermark that could not bound the next run."""
    column = next((c for c in columns if c.dest_name == dest.plan.watermark), None)
    if column is None:
        return
    check_maximum(dest, column.dest_name, column.data_type)
    check_pair(dest.plan, column.dest_name, column.data_type, column)


def check_maximum(dest: Destination, column: str, data_type: DataType) -> None:
    """Raise ConfigurationInvalid for a destination column whose type has no maximum."""
    if problem := data_type.why_unordered:
        raise ConfigurationInvalid(f"The watermark {column} {problem}.", hint=_HINT)
    if data_type.is_numeric or data_type.kind in _ORDERED or data_type.kind is Kind.BINARY:
        return
    try:
        dest.session.fetch(dest.dialect.maximum_of_type(data_type.native or data_type.kind.value))
    except TransientError:
        raise
    except PipekitError as error:
        raise ConfigurationInvalid(
            f"The watermark {column} is of type {data_type.native or data_type.kind.value}, for which the destination "
            "has no maximum.",
            hint=_HINT,
            detail=error.detail or error.message,
        ) from error


def source_type(plan: Plan, column: Column | None) -> DataType:
    """Return the column's type at the source, UNKNOWN for an expression without one."""
    if column is None or not column.source_type:
        return DataType.unknown()
    return registry.datatypes(plan.source.kind).parse(column.source_type)


def check_pair(plan: Plan, name: str, dest_type: DataType, column: Column | None) -> None:
    """Raise ConfigurationInvalid for a watermark that source and destination order differently: it would skip rows.

    As text, 100000 sorts before 20000; bytes, such as a SQL Server rowversion, have another text form in each system.
    """
    at_source = source_type(plan, column)
    difference, hint = _difference(plan, at_source, dest_type, trimmed=column is not None and column.trim)
    if problem := at_source.why_unordered:
        raise ConfigurationInvalid(f"The watermark {name} {problem}.", hint=_HINT)
    if difference:
        raise ConfigurationInvalid(
            f"The watermark {name} {difference}: source and destination may order its values differently.",
            hint=hint.format(name=name),
        )


def _difference(plan: Plan, at_source: DataType, dest_type: DataType, *, trimmed: bool) -> tuple[str, str]:
    """Return how the order of the two sides differs, and a hint; empty texts if it does not."""
    as_number = "Convert it to a number in the query, as in CAST(.. AS bigint) AS {name}."
    if Kind.BINARY in (at_source.kind, dest_type.kind):
        return "holds bytes", as_number
    dialect = registry.dialect(plan.source.kind)
    is_text = dialect.compares_as_text(at_source) and not dialect.may_hold_numbers(at_source)
    if dest_type.is_numeric and (is_text or trimmed or at_source.kind is Kind.TEXT):
        return "is a number in the destination and text at the source", as_number
    if registry.dialect_for(plan.destination).compares_as_text(dest_type):
        return "", ""
    if dest_type.kind in (Kind.UUID, Kind.NATIVE) and dialect.compares_as_text(at_source):
        # 'ABC' and 'abc' are the same uuid, '1 day' and '24:00' the same interval, but different texts
        native = dest_type.native or dest_type.kind.value
        return f"is {native} in the destination and text at the source", _HINT
    return "", ""
