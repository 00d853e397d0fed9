"""What a strategy produces: SQL statements in order, each saying what its row count means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from connections.sdk.schema import TableName
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.sql.row_identity import Names


class Counts(Enum):
    # DDL, locks
    NOTHING = auto()
    # a query: how many staged rows have a key that the destination has
    MATCHED = auto()
    # the second number of that query: how many rows of the destination have such a key; or those of a full refresh
    TARGETS = auto()
    # a query: how many staged rows the destination lacks
    UNSEEN = auto()
    # rows put in or rewritten
    WRITTEN = auto()
    # rows put in, all of them new
    INSERTED = auto()
    # rows put in, those left out that were there already
    ADDED = auto()
    # rows rewritten in place, at least as many as matched
    REWRITTEN = auto()
    # rows taken away to be written again: exactly the matched ones, as the key is unique
    REPLACED = auto()
    # rows taken away, at least as many as there were targets
    DELETED = auto()


@dataclass(frozen=True, slots=True)
class Statement:
    """``asks`` marks a query whose one number is the count; otherwise it is the rows touched.

    ``remaining`` is the query for what a delete has left that should be gone, asked when its count falls short.
    """

    sql: str
    counts: Counts = Counts.NOTHING
    asks: bool = False
    remaining: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What a strategy needs to know, found out inside the publish transaction (or assumed, for a dry run)."""

    dialect: PublishingDialect
    table: TableName
    staging: TableName
    columns: Names
    key: Names = ()
    watermark: str = ""
    # the destination table is created by this run: nothing can match
    is_new: bool = False
    # the destination has a unique key on exactly the merge key
    has_unique: bool = False
    # staging holds NULLs in the merge key
    null_keys: bool = False
    supports_deletes: bool = True
    # rows that are there are rewritten; otherwise an upsert only inserts
    rewrites: bool = True
    truncate: bool = True
    # a trigger, a rule or the like may leave out rows that are inserted
    may_skip_rows: bool = False

    def insert_all(self) -> Statement:
        return Statement(self.dialect.insert_all(self.table, self.staging, self.columns), Counts.WRITTEN)
