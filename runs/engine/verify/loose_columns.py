"""Which key columns have values that the destination calls equal and the comparison takes for different ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connections import registry
from connections.sdk.protocols import Session
from connections.sdk.schema import Column
from connections.sdk.sql.equality import Equality, Spellings
from connections.sdk.sql.types import Kind
from runs.engine.plan import Plan

# collations that the comparison itself knows
FOLDED = frozenset({"NOCASE", "RTRIM"})


def loose_columns(plan: Plan, columns: Sequence[Column], session: Session) -> dict[str, str]:
    """Return the type of each loose column in which a text is neither cut nor rounded, by the column's name.

    ``session`` is a session at the destination; it is asked only about types that no other system has.
    """
    natives = [column.dest_type for column in columns if column.data_type.kind is Kind.NATIVE]
    known: Mapping[str, Equality] = {}
    if natives and (module := registry.type_equality(plan.destination.kind)):
        known = module.equality(session, natives)
    found = {}
    for column in columns:
        equality = known.get(column.dest_type)
        if _is_loose(plan, column, equality):
            found[column.dest_name] = equality.unbounded if equality else column.dest_type
    return found


def is_collated(column: Column) -> bool:
    """Whether the destination compares the column's texts by a collation that the comparison does not know."""
    return bool(column.collation) and column.collation.strip('"').upper() not in FOLDED


def _is_loose(plan: Plan, column: Column, equality: Equality | None) -> bool:
    if is_collated(column):
        return True
    if column.data_type.kind is not Kind.NATIVE:
        return False
    spellings = Spellings.SEVERAL if equality is None else equality.spellings
    if spellings is Spellings.ONE_SHOWN:
        # the same type of the same system shows it alike at both sides; another side's text may be any that is accepted
        return plan.source.kind != plan.destination.kind or column.source_type != column.dest_type
    return spellings is Spellings.SEVERAL
