"""Checks that the destination table has not been altered between staging and publish.

Staging has the destination's types, so that an invalid value fails in the transfer. If the table is altered afterwards,
the database could silently round or truncate values when they are copied from staging.
"""

from __future__ import annotations

from connections.sdk.errors import SerializationFailed, TableMissing
from connections.sdk.schema import TableInfo
from runs.engine.destination import Destination
from runs.engine.publish.staging import StagedRows, same_type

# a view need not be locked: the type of a column that it reads cannot be changed
_LOCKABLE = frozenset({"table", "partitioned table"})


class DestinationChanged(SerializationFailed):
    """The destination table was altered after the rows were staged; a retry stages them again."""


def lock_and_describe(dest: Destination, *, known_kind: str = "") -> TableInfo | None:
    """Return the destination table, locked against ALTER TABLE until the transaction ends; None if it is missing.

    ``known_kind`` is its kind when the rows were staged. Raises DestinationChanged when it was dropped since.
    """
    if known_kind in _LOCKABLE:
        try:
            _lock(dest)
        except TableMissing:
            raise _dropped(dest) from None
        return dest.describe(dest.table)
    table = dest.describe(dest.table)
    if table is None or table.kind not in _LOCKABLE:
        return table
    _lock(dest)
    return dest.describe(dest.table)


def _lock(dest: Destination) -> None:
    lock = dest.dialect.lock_against_alter(dest.table, writing=not dest.plan.strategy.traits.replaces_all)
    if lock:
        dest.session.execute(lock)


def check(dest: Destination, staged: StagedRows, table: TableInfo | None) -> None:
    """Raise DestinationChanged when the table differs from the one that the rows were staged for."""
    if table is None:
        if staged.table_kind:
            raise _dropped(dest)
        return
    for column in staged.columns:
        info = table.column(column.dest_name)
        if info is None:
            raise _changed(f"The column {column.dest_name} of {dest.table} was dropped after the rows were staged")
        if not same_type(column.dest_type, dest.type_in_ddl(info), dest.datatypes.parse):
            raise _changed(
                f"The column {column.dest_name} of {dest.table} was {column.dest_type} when the rows were staged, "
                f"and is {info.native_type} now"
            )


def _dropped(dest: Destination) -> DestinationChanged:
    return _changed(f"The table {dest.table} was dropped after the rows were staged")


def _changed(what: str) -> DestinationChanged:
    return DestinationChanged(
        f"{what}; nothing was published.", hint="Run it again: the rows are then staged for the table as it is now."
    )
