"""Foreign keys that point at a table, and the SQL that counts the rows which a DELETE would reach through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from connections.sdk.schema import TableName
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.sql.row_identity import Names

# what changes rows of the referencing table, by the words of ON DELETE
CASCADES = {"CASCADE": "delete", "SET NULL": "set the reference to NULL of", "SET DEFAULT": "change the reference of"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """``columns`` of ``table`` reference ``references`` (columns) of ``referenced``.

    ``on_delete`` is in SQL's words. ``constraint`` is empty where the system does not name foreign keys.
    """

    constraint: str
    table: TableName
    columns: Names
    referenced: TableName
    references: Names
    on_delete: str = "NO ACTION"
    # the referencing table is the referenced one, or a part of it
    own: bool = False
    # the connection's user may read the referencing table
    readable: bool = True
    # the destination is a view over the referenced table: its columns may have other names there
    below_view: bool = False
    # the connection's sessions keep to it; otherwise it is only declared
    enforced: bool = True

    @property
    def cascades(self) -> bool:
        """Whether a DELETE changes rows of the referencing table."""
        return self.enforced and self.on_delete in CASCADES

    def __str__(self) -> str:
        """Return how messages name it."""
        name = self.constraint or f"on {', '.join(self.columns)}"
        return f"{self.table} (foreign key {name}, ON DELETE {self.on_delete})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """Which rows of the destination a statement deletes: all, those with a key in ``keys``, or those without one.

    ``returns``: the same rows are inserted again, so what they themselves reference is not lost. ``bound`` gives a
    further condition for an alias of the destination.
    """

    keys: TableName | None = None
    key: Names = ()
    present: bool = True
    null_safe: bool = False
    returns: bool = True
    bound: Callable[[str], str] | None = None

    def matches(self, dialect: PublishingDialect, row: str) -> str:
        """Return the condition that ``row``, an alias of the destination, is deleted."""
        if self.keys is None:
            return "1 = 1"
        bound = f" AND {self.bound(row)}" if self.bound else ""
        match = dialect.same_key(self.key, row, "k", null_safe=self.null_safe)
        exists = "EXISTS" if self.present else "NOT EXISTS"
        return f"{exists} (SELECT 1 FROM {dialect.qualified(self.keys)} k WHERE {match}){bound}"


def count_referencing(dialect: PublishingDialect, key: ForeignKey, deletion: Deletion) -> str:
    """Return the count of rows that reference a row which is deleted, and are not deleted themselves.

    Below a view it counts every row that references any row: no fewer.
    """
    quote = dialect.quote
    pairs = zip(key.columns, key.references, strict=True)
    same = " AND ".join(f"d.{quote(there)} = c.{quote(here)}" for here, there in pairs)
    deleted = "1 = 1" if key.below_view else deletion.matches(dialect, "d")
    text = (
        f"SELECT count(*) FROM {dialect.qualified(key.table)} c\n"
        f"WHERE EXISTS (SELECT 1 FROM {dialect.qualified(key.referenced)} d WHERE {same} AND {deleted})"
    )
    return f"{text}\nAND NOT ({deletion.matches(dialect, 'c')})" if key.own and not key.below_view else text


def count_orphans(dialect: PublishingDialect, key: ForeignKey) -> str:
    """Return the count of rows that reference a row which is not there."""
    quote = dialect.quote
    pairs = list(zip(key.columns, key.references, strict=True))
    given = " AND ".join(f"c.{quote(here)} IS NOT NULL" for here, _ in pairs)
    # the referenced side first: systems that take the collation of one side take its
    same = " AND ".join(f"d.{quote(there)} = c.{quote(here)}" for here, there in pairs)
    # a join and no NOT EXISTS, for which SQLite would read the referenced table once a row where it has no index
    return (
        f"SELECT count(*) FROM {dialect.qualified(key.table)} c\n"
        f"LEFT JOIN {dialect.qualified(key.referenced)} d ON {same}\n"
        f"WHERE {given} AND d.{quote(pairs[0][1])} IS NULL"
    )


def lock_deleted(dialect: PublishingDialect, table: TableName, deletion: Deletion) -> str:
    """Return a query that holds the rows to be deleted, so that nobody references them meanwhile; or nothing."""
    if not (lock := dialect.lock_rows()):
        return ""
    rows = f"SELECT 1 FROM {dialect.qualified(table)} d WHERE {deletion.matches(dialect, 'd')}{lock}"
    return f"SELECT count(*) FROM ({rows}) locked"
