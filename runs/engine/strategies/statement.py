"""The SQL statements of a strategy, in order, each with the meaning of its row count."""

from __future__ import annotations

from enum import Enum, auto

from connections.sdk.records import dataclass
from connections.sdk.schema import TableName
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.sql.row_identity import Names


class RowCount(Enum):
    """The meaning of a statement's row count."""

    # DDL, locks
    NOTHING = auto()
    # a query: staged rows whose key the destination has
    MATCHED = auto()
    # the second number of that query: rows of the destination with such a key; in a full refresh all its rows
    TARGETS = auto()
    # a query: staged rows that the destination lacks
    MISSING_COPIES = auto()
    # inserted or updated rows
    WRITTEN = auto()
    # inserted rows, all of them new
    INSERTED = auto()
    # inserted rows, where those that existed were skipped
    ADDED = auto()
    # rows updated in place, at least as many as MATCHED
    REWRITTEN = auto()
    # rows deleted to be inserted again: exactly the MATCHED ones, because the key is unique
    REPLACED = auto()
    # deleted rows, at least as many as TARGETS
    DELETED = auto()


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. The row count of a query (``is_query``) is its result, else the number of affected rows.

    A query may have a second number as its result, whose meaning is ``second``. ``remaining`` is a query for the number
    of rows that a DELETE should have deleted and has not; it is executed when the row count is too low.
    """

    sql: str
    row_count: RowCount = RowCount.NOTHING
    is_query: bool = False
    second: RowCount = RowCount.TARGETS
    remaining: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyInput:
    """The input of a strategy, determined inside the publish transaction (or assumed, for a dry run)."""

    dialect: PublishingDialect
    table: TableName
    staging: TableName
    columns: Names
    key: Names = ()
    watermark: str = ""
    # the destination table is created by this run, so that no row matches
    is_new: bool = False
    # the destination has a unique key on exactly the merge key
    has_unique: bool = False
    # staging holds NULLs in the merge key
    null_keys: bool = False
    supports_deletes: bool = True
    # existing rows are updated; otherwise an upsert only inserts
    rewrites: bool = True
    truncate: bool = True
    # the system tells which rows of an INSERT .. ON CONFLICT existed
    tells_upserted: bool = False
    # a trigger, a rule or a policy of the table may skip rows
    may_change_written_rows: bool = False

    def insert_all(self) -> Statement:
        return Statement(self.dialect.insert_all(self.table, self.staging, self.columns), RowCount.WRITTEN)
