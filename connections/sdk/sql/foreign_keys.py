"""Foreign keys that reference a table, their violation, and SQL to count the rows that a DELETE affects by them."""

from __future__ import annotations

from collections.abc import Callable

from connections.sdk.errors import InvalidValue
from connections.sdk.records import dataclass
from connections.sdk.schema import TableName
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.sql.row_identity import Names

# referential actions that change rows of the referencing table, as buttons for messages
CASCADES = {"CASCADE": "delete", "SET NULL": "set the reference to NULL of", "SET DEFAULT": "change the reference of"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """A foreign key: ``columns`` of ``table`` reference the columns ``references`` of ``referenced``.

    ``on_delete`` is the referential action in SQL. ``constraint`` is empty where the system does not name foreign keys.
    """

    constraint: str
    table: TableName
    columns: Names
    referenced: TableName
    references: Names
    on_delete: str = "NO ACTION"
    # the referencing table is the referenced table itself, or one of its partitions
    own: bool = False
    # the connection's user may read the referencing table
    readable: bool = True
    # the destination is a view on the referenced table, and may name its columns differently
    below_view: bool = False
    # False if the key is declared, but the connection's sessions do not enforce it
    enforced: bool = True

    @property
    def cascades(self) -> bool:
        """Return whether a DELETE changes rows of the referencing table."""
        return self.enforced and self.on_delete in CASCADES

    def __str__(self) -> str:
        """Return the name of the key for messages."""
        name = self.constraint or f"on {', '.join(self.columns)}"
        return f"{self.table} (foreign key {name}, ON DELETE {self.on_delete})"


class ForeignKeyViolated(InvalidValue):
    """A foreign key refused a row.

    ``constraint`` and ``table``, which has it, are empty where the system does not name them. ``is_referencing`` says
    that the row would reference one that does not exist, or may do so because the message is in another language;
    otherwise it is a row to be deleted that others reference, or the system does not say which.
    """

    def __init__(
        self, message: str, *, hint: str = "", detail: str = "", constraint: str = "", is_referencing: bool = False
    ) -> None:
        super().__init__(message, hint=hint, detail=detail)
        self.constraint = constraint
        self.table: TableName | None = None
        self.is_referencing = is_referencing


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """The rows of the destination that a statement deletes.

    These are all rows when ``keys`` is None, otherwise those whose ``key`` is in the table ``keys`` (``present``) or is
    not in it. ``returns`` means that the same rows are inserted again afterwards. ``bound`` returns a further condition
    for an alias of the destination.
    """

    keys: TableName | None = None
    key: Names = ()
    present: bool = True
    null_safe: bool = False
    returns: bool = True
    bound: Callable[[str], str] | None = None

    def matches(self, dialect: PublishingDialect, row: str) -> str:
        """Return the condition under which ``row``, an alias of the destination, is deleted."""
        if self.keys is None:
            return "1 = 1"
        bound = f" AND {self.bound(row)}" if self.bound else ""
        match = dialect.same_key(self.key, row, "k", null_safe=self.null_safe)
        exists = "EXISTS" if self.present else "NOT EXISTS"
        return f"{exists} (SELECT 1 FROM {dialect.qualified(self.keys)} k WHERE {match}){bound}"


def count_referencing(dialect: PublishingDialect, key: ForeignKey, deletion: Deletion) -> str:
    """Return a query for the number of rows that reference a deleted row and are not deleted themselves.

    For a key below a view it counts every row that references any row, an upper bound.
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
    """Return a query for the number of rows that reference a row that does not exist."""
    quote = dialect.quote
    pairs = list(zip(key.columns, key.references, strict=True))
    not_null = " AND ".join(f"c.{quote(here)} IS NOT NULL" for here, _ in pairs)
    # the referenced column first: some systems compare by the collation of the left side
    same = " AND ".join(f"d.{quote(there)} = c.{quote(here)}" for here, there in pairs)
    # a join, because for NOT EXISTS SQLite would scan the referenced table once per row if it has no index
    return (
        f"SELECT count(*) FROM {dialect.qualified(key.table)} c\n"
        f"LEFT JOIN {dialect.qualified(key.referenced)} d ON {same}\n"
        f"WHERE {not_null} AND d.{quote(pairs[0][1])} IS NULL"
    )


def lock_deleted(dialect: PublishingDialect, table: TableName, deletion: Deletion) -> str:
    """Return a query that locks the rows to be deleted, so that no other session references them; may be empty."""
    if not (lock := dialect.lock_rows()):
        return ""
    rows = f"SELECT 1 FROM {dialect.qualified(table)} d WHERE {deletion.matches(dialect, 'd')}{lock}"
    return f"SELECT count(*) FROM ({rows}) locked"
