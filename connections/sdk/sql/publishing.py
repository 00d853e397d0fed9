"""Generation of SQL for publishing rows: DDL for staging and destination, locks, watermarks.

The statements are standard SQL where possible; a connector's ``dialect.py`` overrides what its system writes
differently or executes faster. Table arguments are destination or staging tables, column arguments destination names.
All statements of a publish are executed in one transaction of one session.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from zlib import crc32

from connections.sdk.schema import KEYS_SUFFIX, TableName
from connections.sdk.sql import type_validation
from connections.sdk.sql.row_identity import Names
from connections.sdk.sql.strategies import StrategyDialect

NO_COLLATIONS: Mapping[str, str] = MappingProxyType({})


def index_name(table: TableName, columns: Names, *, suffix: str = "key") -> str:
    """Return the name of an index: at most 63 bytes, with a checksum that makes truncated names unique."""
    checksum = f"{crc32(repr((table, columns)).encode()):08x}"
    return f"pipekit_{table.table.encode()[:40].decode(errors='ignore')}_{checksum}_{suffix}"


def _collate(collation: str) -> str:
    return f" COLLATE {collation}" if collation else ""


class PublishingDialect(StrategyDialect):
    """The dialect of a system that can be a destination. The methods return SQL text."""

    # DDL and DML can be rolled back together; if not, the conformance suite does not require it
    transactional = True
    # TRUNCATE can be rolled back
    truncates = True
    # INSERT .. ON CONFLICT exists
    has_on_conflict = True
    # False if UPDATE may delete and re-insert a row, which a foreign key of another table would prevent
    updates_in_place = True
    # tables can be UNLOGGED, as staging tables then are
    has_unlogged = False
    staging_schema = "pipekit_staging"

    def staging_table(self, module: str) -> TableName:
        """Return the name of the module's staging table."""
        return TableName(self.staging_schema, module)

    def keys_table(self, module: str) -> TableName:
        """Return the name of the staging table of the keys that key_sync reads."""
        return TableName(self.staging_schema, f"{module}{KEYS_SUFFIX}")

    def create_schema(self, schema: str) -> str:
        """Return CREATE SCHEMA IF NOT EXISTS; empty for a system without schemas."""
        return f"CREATE SCHEMA IF NOT EXISTS {self.quote(schema)}"

    def create_table(
        self,
        table: TableName,
        columns: list[tuple[str, str]],
        *,
        scratch: bool = False,
        collations: Mapping[str, str] = NO_COLLATIONS,
    ) -> str:
        """Return CREATE TABLE for pairs of name and native type; a ``scratch`` table is unlogged, if possible.

        ``collations`` are SQL text by column name, as in the destination's catalogue. Raises ConfigurationInvalid for
        a type followed by other clauses.
        """
        body = ",\n  ".join(
            f"{self.quote(name)} {self._type(native)}{_collate(collations.get(name, ''))}" for name, native in columns
        )
        return f"CREATE TABLE {self.qualified(table)} (\n  {body}\n)"

    @staticmethod
    def _type(native: str) -> str:
        # Pipekit's own control tables have NOT NULL columns; a SQLite column may have no type
        if native:
            type_validation.checked(native.removesuffix(" NOT NULL"))
        return native

    def create_unique(
        self, table: TableName, columns: Names, *, version: int = 0, named_for: TableName | None = None
    ) -> str:
        """Return CREATE UNIQUE INDEX for the merge key; NULLs are equal if the server ``version`` supports it.

        ``named_for`` is the table by which the index is named, if it is not the same.
        """
        name = self.quote(index_name(named_for or table, columns))
        return f"CREATE UNIQUE INDEX {name} ON {self.qualified(table)} ({self.columns(columns)})"

    def tells_upserted(self, version: int) -> bool:
        """Return whether the server ``version`` can execute `counted_upsert`."""
        return False

    def unique_includes_null(self, version: int) -> bool:
        """Return whether NULLs are equal in the index of `create_unique`, so that it finds all duplicate keys."""
        return False

    def create_index(self, table: TableName, column: str, *, named_for: TableName | None = None) -> str:
        """Return CREATE INDEX for the watermark column; empty if the system finds a maximum quickly without."""
        name = self.quote(index_name(named_for or table, (column,), suffix="idx"))
        return f"CREATE INDEX {name} ON {self.qualified(table)} ({self.quote(column)})"

    def maximum(self, table: TableName, column: str) -> str:
        """Return a query for MAX(column) as text from which `literal` makes the same value."""
        return f"SELECT CAST(MAX({self.quote(column)}) AS {self.text_type}) FROM {self.qualified(table)}"

    def second_highest(self, table: TableName, column: str) -> str:
        """Return a query for the highest value below MAX(column), as text; NULL when there is none."""
        name, source = self.quote(column), self.qualified(table)
        return (
            f"SELECT CAST(MAX({name}) AS {self.text_type}) FROM {source}\n"
            f"WHERE {name} < (SELECT MAX({name}) FROM {source})"
        )

    def maximum_of_type(self, native: str) -> str:
        """Return a query that fails when MAX() does not accept the type; it reads no table."""
        return f"SELECT MAX(CAST(NULL AS {native}))"

    def reaches(self, table: TableName, column: str, literal: str) -> str:
        """Return a query whose result is 1 if MAX(column) is not below a literal, else 0."""
        highest = f"SELECT MAX({self.quote(column)}) AS highest FROM {self.qualified(table)}"
        return f"SELECT CASE WHEN m.highest >= {literal} THEN 1 ELSE 0 END FROM ({highest}) m"

    def count_watermark_values(self, table: TableName, column: str, *, ties: bool, offsets: bool) -> str:
        """Return a query for three counts of rows by their watermark ``column``.

        These are rows with NULL, with ``ties`` those that have the highest value, and with ``offsets`` those whose text
        has a UTC offset. A count that was not requested is 0.
        """
        name, source = f"t.{self.quote(column)}", self.qualified(table)
        counts = [f"count(*) - count({name}) AS without"]
        if ties:
            counts.append(f"MAX({name}) AS highest")
        if offsets:
            has_offset = f"{name} LIKE '____-__-__%+__:__' OR {name} LIKE '____-__-__%-__:__'"
            counts.append(f"count(CASE WHEN {has_offset} THEN 1 END) AS offsets")
        sharing = f"(SELECT count(*) FROM {source} t WHERE {name} = m.highest)" if ties else "0"
        return (
            f"SELECT m.without, {sharing}, {'m.offsets' if offsets else '0'}\n"
            f"FROM (SELECT {', '.join(counts)} FROM {source} t) m"
        )

    def current_timestamp(self) -> str:
        """Return a query for the system's current time, in UTC or with its offset."""
        return "SELECT CURRENT_TIMESTAMP"

    def count_null(self, table: TableName, columns: Names) -> str:
        """Return a query for the number of rows in which any of the columns is NULL."""
        return f"SELECT count(*) FROM {self.qualified(table)} t WHERE {self.any_null(columns, 't')}"

    def select_rows_with_null(self, table: TableName, column: str, shown: Names, *, limit: int = 1) -> str:
        """Return a query for the columns ``shown`` of rows in which ``column`` is NULL."""
        names = self.columns(shown, prefix="t.") or "NULL"
        query = f"SELECT {names} FROM {self.qualified(table)} t WHERE t.{self.quote(column)} IS NULL"
        return self.limited(query, limit)

    def some_of(self, table: TableName, columns: Names, limit: int) -> str:
        """Return a query for these columns of at most so many rows, as the system finds them."""
        return self.limited(f"SELECT {self.columns(columns, prefix='t.')} FROM {self.qualified(table)} t", limit)

    def highest_up_to(self, table: TableName, column: str, literal: str, limit: int) -> str:
        """Return a query for the highest values of a column that do not exceed a literal, in descending order."""
        name = f"t.{self.quote(column)}"
        query = f"SELECT {name} FROM {self.qualified(table)} t WHERE {name} <= {literal} ORDER BY {name} DESC"
        return self.limited(query, limit)

    def drop_table(self, table: TableName) -> str:
        """Return DROP TABLE IF EXISTS."""
        return f"DROP TABLE IF EXISTS {self.qualified(table)}"

    def empty_table(self, table: TableName, *, truncate: bool = True) -> str:
        """Return the statement that deletes all rows: TRUNCATE, or DELETE where that must not block readers."""
        if truncate and self.truncates:
            return f"TRUNCATE TABLE {self.qualified(table)}"
        return f"DELETE FROM {self.qualified(table)}"

    def begin_publish(self, table: TableName, *, lock_seconds: float) -> tuple[str, ...]:
        """Return the first statements of a publish transaction: lock timeouts, and a lock against other publishes."""
        return ()

    def set_lock_timeout(self, *, lock_seconds: float) -> tuple[str, ...]:
        """Return the statements that set the lock timeout of a session."""
        return ()

    def lock_holders(self, table: TableName) -> str:
        """Return a query that describes the sessions with locks on the table, strongest lock first; may be empty."""
        return ""

    def analyze(self, table: TableName) -> str:
        """Return the statement that updates the planner's statistics; may be empty."""
        return ""

    def rows_by_statistics(self, table: TableName) -> str:
        """Return a query for the table's rows by its statistics, negative if it has none; empty if there is no such."""
        return ""

    def lock_rows(self, *, shared: bool = False) -> str:
        """Return the clause with which a SELECT locks its rows until the transaction ends; may be empty.

        With ``shared`` other sessions can take the same lock, but none can change the rows.
        """
        return ""

    def lock_against_alter(self, table: TableName, *, writing: bool) -> str:
        """Return the statement that prevents ALTER TABLE until the transaction ends; may be empty.

        ``writing`` means that rows of the table are written next; otherwise it is only read, or truncated.
        """
        return ""

    def run_deferred(self) -> str:
        """Return the statement that runs deferred triggers and checks deferred constraints now; may be empty."""
        return ""

    def with_identity_values(self) -> PublishingDialect:
        """Return the dialect whose INSERTs may write columns that are GENERATED ALWAYS AS IDENTITY."""
        return self

    def count(self, table: TableName) -> str:
        """Return a query for the number of rows."""
        return f"SELECT count(*) FROM {self.qualified(table)}"
