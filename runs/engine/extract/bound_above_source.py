"""Warns when a numeric bound is above every value at the source, so that this run and the next ones read nothing.

A single wrong number is enough, in the destination or, before it was corrected, at the source. Checked only after a run
that read no row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.errors import PipekitError
from connections.sdk.protocols import Session
from connections.sdk.schema import Column
from modules.query.rewrite import select_highest
from runs.engine.destination import Destination
from runs.engine.extract.query import bounded_query
from runs.engine.plan import Plan
from runs.engine.sessions import open_session
from runs.engine.watermarks.bounds import Bound, minus_overlap

# up to so many rows above the source's highest value are explained by deletions at the source
_FEW = 10
# rows below that value whose distances are taken as usual
_SAMPLE = 100


def warnings(plan: Plan, query: str, bound: Bound | None, columns: Sequence[Column]) -> Iterator[str]:
    """Yield a warning when the source's highest watermark is so far below the bound that new rows are not read.

    ``query`` is the query without the bound. Errors of the source or the destination are ignored.
    """
    if bound is None or bound.value is None or plan.strategy.traits.replaces_all or not bound.data_type.is_numeric:
        return
    try:
        highest = _suspicious_highest(plan, query, bound, columns)
    except (PipekitError, InvalidOperation):
        return
    if highest is not None:
        above = f"{'at least' if plan.overlap else 'above'} {_lowest_read(plan, bound)}"
        yield (
            f"No row was read: the highest {bound.column} of the destination is {bound.value}, and the highest at the "
            f"source is {highest}. A new row is read only when it is {above}. Correct or delete the rows of "
            f"{plan.dest_table} above {highest}, or run the module once with --full-refresh. If such rows were only "
            "deleted at the source and its numbers continue from there, no row is missed."
        )


def _lowest_read(plan: Plan, bound: Bound) -> str:
    assert bound.value is not None
    return minus_overlap(bound.value, bound.data_type, plan.overlap)


def _suspicious_highest(plan: Plan, query: str, bound: Bound, columns: Sequence[Column]) -> str | None:
    """Return the source's highest value if the bound is suspiciously far above it, else None."""
    with open_session(plan.source, Cap.READ) as session:
        if not plan.overlap and _has_row_at(session, plan, query, bound, columns):
            # the usual case, checked with the run's own condition and so at the same cost
            return None
        highest = _highest(session, plan, query, bound, columns)
    if highest is None:
        # the source is empty
        return None
    distance = Decimal(_lowest_read(plan, bound)) - Decimal(highest)
    if distance < 0:
        # a row was added since the run
        return None
    return highest if _is_unusual(plan, bound, highest, Decimal(str(bound.value)) - Decimal(highest)) else None


def _has_row_at(session: Session, plan: Plan, query: str, bound: Bound, columns: Sequence[Column]) -> bool:
    # with an overlap of 0 the condition is >=
    at_least = bounded_query(replace(plan, overlap="0"), query, bound, columns)
    return session.fetch_read_only(at_least) is not None


def _highest(session: Session, plan: Plan, query: str, bound: Bound, columns: Sequence[Column]) -> str | None:
    column = next((column for column in columns if column.dest_name == bound.column), None)
    dialect = registry.dialect(plan.source.kind)
    sql = select_highest(query, dialect, bound.column, result_name=column.source_name if column else "")
    row = session.fetch_read_only(sql)
    return None if row is None or row[0] is None else format(Decimal(str(row[0])), "f")


def _is_unusual(plan: Plan, bound: Bound, highest: str, distance: Decimal) -> bool:
    """Return whether deletions at the source do not explain the distance.

    Deletions explain it if few rows of the destination are above the source's highest value, at usual distances.
    """
    with Destination.open(plan) as dest:
        name, table = f"t.{dest.dialect.quote(bound.column)}", dest.dialect.qualified(dest.table)
        literal = dest.dialect.literal(highest, bound.data_type)
        above = dest.fetch_int(f"SELECT count(*) FROM {table} t WHERE {name} > {literal}")
        rows = dest.session.fetch(dest.dialect.highest_up_to(dest.table, bound.column, literal, _SAMPLE))
    values = [Decimal(str(row[0])) for row in rows]
    usual = max((high - low for high, low in zip(values, values[1:], strict=False)), default=Decimal(1))
    return above > _FEW or (above > 0 and distance > above * max(usual, Decimal(1)))
