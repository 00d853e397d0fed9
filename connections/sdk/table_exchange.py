"""The exchange of a table for another one that was filled beside it, in place of copying the rows.

A connector whose system can rename tables within a transaction offers it by a module ``table_exchange.py`` with the
functions of `TableExchange`. Without it rows are always copied from staging into the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from connections.sdk.formatting import listed
from connections.sdk.protocols import Session
from connections.sdk.schema import TableName

# objects that are named for one reason
_MAX_NAMED = 3


class TableExchange(Protocol):
    """A connector's ``table_exchange`` module.

    ``table`` is the destination table, ``beside`` the staging table that takes its place. The functions read the
    catalogue and return statements, which the caller executes in order; none of them writes.
    """

    # whether the former table can be kept, and the functions of `FormerTables` exist
    keeps_former: bool

    def beside(self, table: TableName, staging: TableName) -> TableName:
        """Return the name of the table that is filled to take the place of ``table``.

        This is the module's usual table ``staging``, or one in the schema of ``table`` if tables cannot change theirs.
        """
        ...

    def left_beside(self, session: Session, staging: TableName) -> tuple[TableName, ...]:
        """Return the existing tables that `beside` or `FormerTables.set_aside` has named for this staging table."""
        ...

    def obstacles(self, session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
        """Return why the existing table cannot be exchanged without losing anything; empty if it can.

        Each is a phrase about the table, such as "view v depends on it".
        """
        ...

    def move_obstacles(self, session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
        """Return why ``beside`` cannot become the table, which does not exist."""
        ...

    def create(self, session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
        """Return the statements that create ``beside`` as a twin of the table, empty and ready to be filled."""
        ...

    def complete(
        self, session: Session, table: TableName, beside: TableName, *, exists: bool = True
    ) -> tuple[str, ...]:
        """Return the statements that give the filled twin what it lacks of the table, such as indexes.

        In a dry run the twin does not exist (``exists``), and lacks everything.
        """
        ...

    def lock(self, table: TableName) -> str:
        """Return the statement after which no other session reads or changes the table until the transaction ends.

        It is empty if the transaction has excluded that from its beginning.
        """
        ...

    def differences(self, session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
        """Return the parts in which the twin differs from the table, other than in its rows; empty if it is equal."""
        ...

    def exchange(self, session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
        """Return the statements that exchange the tables, whose names and those of their indexes change places.

        If the system does not keep the former table, they drop it.
        """
        ...

    def move(self, session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
        """Return the statements that move ``beside`` to the place of the table, which does not exist."""
        ...


class FormerTables(TableExchange, Protocol):
    """A connector's ``table_exchange`` module, if its system can tell whether a table was written to.

    The former table can then be kept as the staging table, and be put back.
    """

    def release(self, session: Session, beside: TableName) -> tuple[str, ...]:
        """Return the statements by which the former table, now ``beside``, no longer affects other tables.

        They are executed after the exchange is committed; `complete` reverses them.
        """
        ...

    def set_aside(self, session: Session, staging: TableName, *, minimum: int) -> tuple[TableName, str] | None:
        """Return another name for a staging table that is to be dropped, and the statement that gives it that name.

        None if it has less than ``minimum`` bytes, or if something depends on it.
        """
        ...

    def data_version(self, session: Session, table: TableName, rows: int) -> str:
        """Return a text about the rows of a table that one transaction has filled; empty if the system cannot tell."""
        ...

    def has_changed(self, session: Session, table: TableName, data_version: str) -> bool:
        """Return whether any row was inserted, updated or deleted since `data_version` was called."""
        ...

    def size(self, session: Session, table: TableName) -> int:
        """Return the bytes that the table occupies, with its indexes."""
        ...


def obstacle_phrases(found: Iterable[tuple[str, str]], phrases: Mapping[str, str]) -> tuple[str, ...]:
    """Return the obstacles of which a query has found pairs of a word and the name of an object.

    ``phrases`` are by word; {names} in them are the objects.
    """
    names: dict[str, list[str]] = {}
    for word, name in found:
        names.setdefault(word, []).append(name)
    return tuple(phrases[word].format(names=listed(objects, most=_MAX_NAMED)) for word, objects in names.items())
