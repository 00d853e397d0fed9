"""Finds key columns in which the destination considers values equal that the comparison considers different."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connections import registry
from connections.sdk.protocols import Session
from connections.sdk.schema import Column
from connections.sdk.sql.equality import Equality, TextForms
from connections.sdk.types import Kind
from runs.engine.plan import Plan

# collations by which the comparison itself folds keys
FOLDED = frozenset({"NOCASE", "RTRIM"})


def inexact_key_columns(plan: Plan, columns: Sequence[Column], session: Session) -> dict[str, str]:
    """Return the inexact columns by name, each with its type without a length or precision, for casts of texts.

    ``session`` is a session at the destination, which is queried only about types that no other system has.
    """
    natives = [column.dest_type for column in columns if column.data_type.kind is Kind.NATIVE]
    known: Mapping[str, Equality] = {}
    if natives and (module := registry.type_equality(plan.destination.kind)):
        known = module.equality(session, natives)
    inexact = {}
    for column in columns:
        equality = known.get(column.dest_type)
        if _is_inexact(plan, column, equality):
            inexact[column.dest_name] = equality.unbounded if equality else column.dest_type
    return inexact


def is_collated(column: Column) -> bool:
    """Return whether the destination compares the column by a collation that the comparison does not fold by."""
    return bool(column.collation) and column.collation.strip('"').upper() not in FOLDED


def _is_inexact(plan: Plan, column: Column, equality: Equality | None) -> bool:
    if is_collated(column):
        return True
    if column.data_type.kind is not Kind.NATIVE:
        return False
    text_forms = TextForms.SEVERAL if equality is None else equality.text_forms
    if text_forms is TextForms.ONE_SHOWN:
        # both sides show a value of the same type in the same way; a source of another type may have any valid text
        return plan.source.kind != plan.destination.kind or column.source_type != column.dest_type
    return text_forms is TextForms.SEVERAL
