"""The destination as it was when the rows were staged, and as it is when they are published.

Staging takes the destination's types, so that a value which does not fit fails in the transfer. When somebody alters
the table in between, the database would round or cut the values on their way from staging, in silence.
"""

from __future__ import annotations

from connections import registry
from connections.sdk.errors import SerializationFailed
from connections.sdk.protocols import Session
from connections.sdk.schema import ColumnInfo, TableInfo
from connections.sdk.sql.type_grammar import is_type
from runs.engine.checks import Staging
from runs.engine.plan import Plan, Strategy
from runs.engine.publish.staging import dialect_of, same_type

# views cannot be locked alone, and no column that a view reads can change its type
_HELD = frozenset({"table", "partitioned table"})


class DestinationChanged(SerializationFailed):
    """The destination is not as it was when the rows were staged; another attempt stages them anew."""


def described(session: Session, plan: Plan) -> TableInfo | None:
    """Return the destination table, held so that nobody alters it until the transaction ends."""
    describe = registry.connector(plan.destination.kind).introspector.describe_table
    table = describe(session, plan.dest_table)
    if table is None or table.kind not in _HELD:
        return table
    if not (hold := dialect_of(plan).hold_shape(plan.dest_table, writing=plan.strategy is not Strategy.FULL)):
        return table
    session.execute(hold)
    return describe(session, plan.dest_table)


def check(plan: Plan, staging: Staging, table: TableInfo | None) -> None:
    """Raise DestinationChanged when the table is another one than the rows were staged for."""
    if table is None:
        if staging.existed:
            raise _changed(f"The table {plan.dest_table} is gone since the rows were staged")
        return
    parse = registry.datatypes(plan.destination.kind).parse
    for column in staging.columns:
        info = table.column(column.dest_name)
        if info is None:
            raise _changed(f"The column {column.dest_name} of {plan.dest_table} is gone since the rows were staged")
        if not same_type(column.dest_type, usable_type(plan, info), parse):
            raise _changed(
                f"The column {column.dest_name} of {plan.dest_table} was {column.dest_type} when the rows were staged, "
                f"and is {info.native_type} now"
            )


def _changed(what: str) -> DestinationChanged:
    return DestinationChanged(
        f"{what}; nothing was published.", hint="Run it again: the rows are then staged for the table as it is."
    )


def usable_type(plan: Plan, existing: ColumnInfo) -> str:
    """Return an existing column's type, or one of its meaning where the spelling is no type: it is used in DDL."""
    if not existing.native_type or is_type(existing.native_type):
        return existing.native_type
    return registry.datatypes(plan.destination.kind).render(existing.data_type).native
