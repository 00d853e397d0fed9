"""Which types can be a watermark, and which pairs of types order the same values alike: all others are refused.

A bound is a value that the destination has, sent to the source. It is safe when the source puts it at or below every
row that is newer, whatever the destination's own order: so collations may differ, and ways of writing may not.
"""

from __future__ import annotations

from connections import registry
from connections.sdk.errors import ConfigurationInvalid, PipekitError, TransientError
from connections.sdk.protocols import Session
from connections.sdk.schema import Column
from connections.sdk.sql.dialect import Dialect
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.sql.types import DataType, Kind
from runs.engine.plan import Plan

# of these every system has a highest value
_ORDERED = frozenset({Kind.TEXT, Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.UNKNOWN})
_CURE = "Name a number, a date or a timestamp that grows as watermark_column; or use upsert without one, or full."


def check_watermark_types(plan: Plan, session: Session, columns: tuple[Column, ...]) -> None:
    """Refuse, before anything is transferred, a watermark that could not bound the next run."""
    column = next((c for c in columns if c.dest_name == plan.watermark), None)
    if column is None:
        return
    check_maximum(session, registry.dialect_for(plan.destination), column.dest_name, column.data_type)
    check_pair(plan, column.dest_name, column.data_type, column)


def check_maximum(session: Session, dialect: Dialect, column: str, data_type: DataType) -> None:
    """Refuse a destination column of which there is no highest value."""
    if problem := data_type.why_unordered:
        raise ConfigurationInvalid(f"The watermark {column} {problem}.", hint=_CURE)
    if data_type.is_numeric or data_type.kind in _ORDERED or data_type.kind is Kind.BINARY:
        return
    assert isinstance(dialect, PublishingDialect)
    try:
        session.fetch(dialect.maximum_of_type(data_type.native or data_type.kind.value))
    except TransientError:
        raise
    except PipekitError as error:
        raise ConfigurationInvalid(
            f"The watermark {column} is of type {data_type.native or data_type.kind.value}, of which the destination "
            "knows no highest value.",
            hint=_CURE,
            detail=error.detail or error.message,
        ) from error


def source_type(plan: Plan, column: Column | None) -> DataType:
    """Return the meaning of the column's type at the source, UNKNOWN for an expression without one."""
    if column is None or not column.source_type:
        return DataType.unknown()
    return registry.datatypes(plan.source.kind).parse(column.source_type)


def check_pair(plan: Plan, name: str, dest_type: DataType, column: Column | None) -> None:
    """Refuse a watermark whose order at the source is another than in the destination: rows would be left out.

    As text 100000 sorts before 20000; bytes (a SQL Server rowversion) are written otherwise in every system.
    """
    found = source_type(plan, column)
    what, cure = _difference(plan, found, dest_type, trimmed=column is not None and column.trim)
    if problem := found.why_unordered:
        raise ConfigurationInvalid(f"The watermark {name} {problem}.", hint=_CURE)
    if what:
        raise ConfigurationInvalid(
            f"The watermark {name} {what}: its order is not the same everywhere.", hint=cure.format(name=name)
        )


def _difference(plan: Plan, found: DataType, dest_type: DataType, *, trimmed: bool) -> tuple[str, str]:
    """Return how the two sides order otherwise, and what to do; empty texts when they do not."""
    as_number = "Write it as a number into the query, as in CAST(.. AS bigint) AS {name}."
    if Kind.BINARY in (found.kind, dest_type.kind):
        return "holds bytes", as_number
    dialect = registry.dialect(plan.source.kind)
    is_text = dialect.compares_as_text(found) and not dialect.may_hold_numbers(found)
    if dest_type.is_numeric and (is_text or trimmed or found.kind is Kind.TEXT):
        return "is a number in the destination and text at the source", as_number
    if registry.dialect_for(plan.destination).compares_as_text(dest_type):
        return "", ""
    if dest_type.kind in (Kind.UUID, Kind.NATIVE) and dialect.compares_as_text(found):
        # 'ABC' and 'abc' are one uuid, '1 day' and '24:00' one interval; as texts they are two
        native = dest_type.native or dest_type.kind.value
        return f"is {native} in the destination and text at the source", _CURE
    return "", ""
