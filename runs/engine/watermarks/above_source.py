"""A numeric bound above everything that the source has: a run reads nothing then, and may go on doing so unnoticed.

One stray high number is enough, in the destination or at the source before it was corrected there. Asked only after a
run that read no row.
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
from runs.engine.connecting import open_session
from runs.engine.destination import open_destination
from runs.engine.extract.query import bounded_query
from runs.engine.plan import Plan, Strategy
from runs.engine.publish.staging import dialect_of
from runs.engine.watermarks.bounds import Bound, minus_overlap

# so many rows above the source's highest may have been deleted there, one after another
_FEW = 10
# rows below it whose distances say what is usual
_SAMPLE = 100


def warnings(plan: Plan, query: str, bound: Bound | None, columns: Sequence[Column]) -> Iterator[str]:
    """Yield a warning when the source's highest watermark is so far below the bound that later rows are left out.

    ``query`` is the query without the bound. A source or destination that cannot be asked is no reason to fail.
    """
    if bound is None or bound.value is None or plan.strategy is Strategy.FULL or not bound.data_type.is_numeric:
        return
    try:
        highest = _above(plan, query, bound, columns)
    except (PipekitError, InvalidOperation):
        return
    if highest is not None:
        above = f"{'at least' if plan.overlap else 'above'} {_least(plan, bound)}"
        yield (
            f"No row was read: the highest {bound.column} of the destination is {bound.value}, and the highest at the "
            f"source is {highest}. A new row is read only when it is {above}. Correct or delete the rows of "
            f"{plan.dest_table} above {highest}, or run the module once with --full-refresh. If such rows were only "
            "deleted at the source and its numbers go on from there, nothing is left out."
        )


def _least(plan: Plan, bound: Bound) -> str:
    assert bound.value is not None
    return minus_overlap(bound.value, bound.data_type, plan.overlap)


def _above(plan: Plan, query: str, bound: Bound, columns: Sequence[Column]) -> str | None:
    """Return the source's highest value if the bound is suspiciously far above it."""
    with open_session(plan.source, Cap.READ) as session:
        if not plan.overlap and _has_row_at(session, plan, query, bound, columns):
            # as after most runs: by the same condition as the run's own, so for the same price
            return None
        highest = _highest(session, plan, query, bound, columns)
    if highest is None:
        # an empty source tells nothing
        return None
    distance = Decimal(_least(plan, bound)) - Decimal(highest)
    if distance < 0:
        # a row came meanwhile
        return None
    return highest if _is_unusual(plan, bound, highest, Decimal(str(bound.value)) - Decimal(highest)) else None


def _has_row_at(session: Session, plan: Plan, query: str, bound: Bound, columns: Sequence[Column]) -> bool:
    # with an overlap of nothing the condition is >=
    reaching = bounded_query(replace(plan, overlap="0"), query, bound, columns)
    return session.fetch_read_only(reaching) is not None


def _highest(session: Session, plan: Plan, query: str, bound: Bound, columns: Sequence[Column]) -> str | None:
    column = next((column for column in columns if column.dest_name == bound.column), None)
    dialect = registry.dialect(plan.source.kind)
    sql = select_highest(query, dialect, bound.column, result_name=column.source_name if column else "")
    row = session.fetch_read_only(sql)
    return None if row is None or row[0] is None else format(Decimal(str(row[0])), "f")


def _is_unusual(plan: Plan, bound: Bound, highest: str, distance: Decimal) -> bool:
    """Whether rows that were deleted at the source do not explain the distance.

    A few may be missing at its end, at the distances that the rows before them have.
    """
    dialect = dialect_of(plan)
    name, table = f"t.{dialect.quote(bound.column)}", dialect.qualified(plan.dest_table)
    literal = dialect.literal(highest, bound.data_type)
    with open_destination(plan) as session:
        above = int(session.fetch(f"SELECT count(*) FROM {table} t WHERE {name} > {literal}")[0][0])
        rows = session.fetch(
            f"SELECT {name} FROM {table} t WHERE {name} <= {literal} ORDER BY {name} DESC LIMIT {_SAMPLE}"
        )
    values = [Decimal(str(row[0])) for row in rows]
    usual = max((high - low for high, low in zip(values, values[1:], strict=False)), default=Decimal(1))
    return above > _FEW or (above > 0 and distance > above * max(usual, Decimal(1)))
