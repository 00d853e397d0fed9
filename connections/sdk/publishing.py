"""SQL text with which rows are published: DDL of staging and destination, and the statements of the strategies.

Standard SQL where it is enough; a destination's ``dialect.py`` overrides what its system says otherwise or does
faster. Table arguments are destination or staging tables, column arguments destination names. Every statement
of one publish runs in one transaction of one session.
"""

from __future__ import annotations

from zlib import crc32

from connections.sdk.dialect import Dialect
from connections.sdk.schema import TableName

Names = tuple[str, ...]


def index_name(table: TableName, columns: Names) -> str:
    """Return a name for a key index that stays under 63 bytes and differs for tables that begin alike."""
    mark = f"{crc32(repr((table, columns)).encode()):08x}"
    return f"pipekit_{table.table.encode()[:40].decode(errors='ignore')}_{mark}_key"


def unused(name: str, columns: Names) -> str:
    """Return the name, lengthened until no column has it."""
    while name in columns:
        name += "_"
    return name


class PublishingDialect(Dialect):
    # one transaction covers DDL and DML; where False the connection page says "not atomic"
    transactional = True
    # TRUNCATE inside a transaction can be rolled back
    truncates = True
    # INSERT .. ON CONFLICT exists
    has_on_conflict = True
    staging_schema = "pipekit_staging"
    text_type = "text"
    # the name under which one row of a table can be told from its twin
    row_id = "rowid"

    def staging_table(self, module: str) -> TableName:
        return TableName(self.staging_schema, module)

    def create_schema(self, schema: str) -> str:
        return f"CREATE SCHEMA IF NOT EXISTS {self.quote(schema)}"

    def create_table(self, table: TableName, columns: list[tuple[str, str]], *, scratch: bool = False) -> str:
        """Return CREATE TABLE for (name, native type) pairs; ``scratch`` asks for the unlogged kind, if any."""
        body = ",\n  ".join(f"{self.quote(name)} {native}" for name, native in columns)
        return f"CREATE TABLE {self.qualified(table)} (\n  {body}\n)"

    def create_unique(self, table: TableName, columns: Names, *, version: int = 0) -> str:
        """Return CREATE UNIQUE INDEX over the merge key, NULLs counting as equal where that server version can."""
        name = self.quote(index_name(table, columns))
        return f"CREATE UNIQUE INDEX {name} ON {self.qualified(table)} ({self.columns(columns)})"

    def maximum(self, table: TableName, column: str) -> str:
        """Return MAX(column) as text, in the exact form in which it can be written into a literal again."""
        return f"SELECT CAST(MAX({self.quote(column)}) AS {self.text_type}) FROM {self.qualified(table)}"

    def count_null(self, table: TableName, columns: Names) -> str:
        return f"SELECT count(*) FROM {self.qualified(table)} t WHERE {self.any_null(columns, 't')}"

    def drop_table(self, table: TableName) -> str:
        return f"DROP TABLE IF EXISTS {self.qualified(table)}"

    def empty_table(self, table: TableName, *, truncate: bool = True) -> str:
        """Return the statement that removes all rows, by TRUNCATE unless readers must never wait."""
        if truncate and self.truncates:
            return f"TRUNCATE TABLE {self.qualified(table)}"
        return f"DELETE FROM {self.qualified(table)}"

    def begin_publish(self, table: TableName, *, lock_seconds: float) -> tuple[str, ...]:
        """Return what a publish transaction says first: bounds on waiting, and a lock on writing this table."""
        return ()

    def bound_waits(self, *, lock_seconds: float) -> tuple[str, ...]:
        """Return what a session says first so that none of its statements waits longer for a lock."""
        return ()

    def lock_holders(self, table: TableName) -> str:
        """Return a query for the sessions that hold locks on the table, one text each, strongest first; or nothing."""
        return ""

    def analyze(self, table: TableName) -> str:
        """Return the statement that refreshes the planner's statistics, or nothing."""
        return ""

    def lock_rows(self, *, shared: bool = False) -> str:
        """Return what a SELECT ends with to hold its rows until the transaction ends, or nothing.

        ``shared`` lets others hold them too, and nobody change them.
        """
        return ""

    def hold_shape(self, table: TableName, *, writing: bool) -> str:
        """Return the statement that keeps the table from being altered until the transaction ends, or nothing.

        ``writing``: rows of it are written next. Otherwise it is only read, or emptied by TRUNCATE.
        """
        return ""

    def with_identity_values(self) -> PublishingDialect:
        """Return the dialect whose inserts also give values to columns that are GENERATED ALWAYS AS IDENTITY."""
        return self

    def insert_into(self, table: TableName, columns: Names) -> str:
        """Return how an INSERT begins."""
        return f"INSERT INTO {self.qualified(table)} ({self.columns(columns)})"

    def count(self, table: TableName) -> str:
        return f"SELECT count(*) FROM {self.qualified(table)}"

    def insert_all(self, table: TableName, staging: TableName, columns: Names) -> str:
        into = self.insert_into(table, columns)
        return f"{into}\nSELECT {self.columns(columns)} FROM {self.qualified(staging)}"

    def same_key(self, key: Names, left: str, right: str, *, null_safe: bool) -> str:
        """Return the comparison of two rows by key; ``null_safe`` only for keys with NULLs (it defeats hash joins)."""
        if not null_safe:
            return " AND ".join(f"{left}.{self.quote(k)} = {right}.{self.quote(k)}" for k in key)
        return " AND ".join(
            f"({left}.{q} = {right}.{q} OR ({left}.{q} IS NULL AND {right}.{q} IS NULL))"
            for q in (self.quote(k) for k in key)
        )

    def any_null(self, key: Names, prefix: str) -> str:
        return "(" + " OR ".join(f"{prefix}.{self.quote(k)} IS NULL" for k in key) + ")"

    def count_matching(self, table: TableName, staging: TableName, key: Names, *, null_safe: bool) -> str:
        """Return a count of staging rows whose key the destination has."""
        match = self.same_key(key, "d", "s", null_safe=null_safe)
        return (
            f"SELECT count(*) FROM {self.qualified(staging)} s\n"
            f"WHERE EXISTS (SELECT 1 FROM {self.qualified(table)} d WHERE {match})"
        )

    def delete_matching(self, table: TableName, staging: TableName, key: Names, *, null_safe: bool) -> str:
        """Return the delete of destination rows whose key is in staging."""
        match = self.same_key(key, "s", "d", null_safe=null_safe)
        return (
            f"DELETE FROM {self.qualified(table)} AS d\n"
            f"WHERE EXISTS (SELECT 1 FROM {self.qualified(staging)} s WHERE {match})"
        )

    def delete_missing(self, table: TableName, keys: TableName, key: Names) -> str:
        """Return the delete of destination rows whose key is not in the table of keys (none of them NULL)."""
        match = self.same_key(key, "k", "d", null_safe=False)
        return (
            f"DELETE FROM {self.qualified(table)} AS d\n"
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.qualified(keys)} k WHERE {match})"
        )

    def count_missing(self, table: TableName, keys: TableName, key: Names) -> str:
        match = self.same_key(key, "k", "d", null_safe=False)
        return (
            f"SELECT count(*) FROM {self.qualified(table)} d\n"
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.qualified(keys)} k WHERE {match})"
        )

    def duplicate_keys(self, staging: TableName, key: Names, *, limit: int = 5) -> str:
        """Return key values that stand in staging more than once, with their count last; NULLs count as equal."""
        names = self.columns(key)
        return (
            f"SELECT {names}, count(*) FROM {self.qualified(staging)}\n"
            f"GROUP BY {names} HAVING count(*) > 1 ORDER BY count(*) DESC LIMIT {limit}"
        )

    def keep_latest(self, staging: TableName, key: Names, watermark: str) -> str:
        """Return the delete of all but the newest staging row of each key, by watermark; ties keep any one."""
        names, row, mark = self.columns(key), self.row_id, self.quote(watermark)
        return (
            f"DELETE FROM {self.qualified(staging)} WHERE {row} IN (\n"
            f"  SELECT {row} FROM (SELECT {row}, row_number() OVER (PARTITION BY {names} "
            f"ORDER BY {mark} IS NULL, {mark} DESC) AS pipekit_n\n"
            f"  FROM {self.qualified(staging)}) ranked WHERE pipekit_n > 1)"
        )

    def row_text(self, columns: Names, prefix: str) -> str:
        """Return an expression that is equal for two rows exactly when all their columns are, NULLs included."""
        parts = (f"CAST({prefix}.{self.quote(c)} AS {self.text_type})" for c in columns)
        return " || ',' || ".join(f"coalesce('''' || replace({p}, '''', '''''') || '''', 'NULL')" for p in parts)

    def insert_unseen(self, table: TableName, staging: TableName, columns: Names, watermark: str) -> str:
        """Return the insert of staging rows that the destination lacks, comparing whole rows from the lowest mark on.

        A row is inserted only as often as staging holds it more often than the destination does, so what was read
        again (ties at the boundary, an overlap) is not doubled, and a true twin is not lost.
        """
        mark = self.quote(watermark)
        target, source = self.qualified(table), self.qualified(staging)
        low = f"(SELECT min({mark}) FROM {source})"
        row, number, had = (unused(name, columns) for name in ("pipekit_row", "pipekit_n", "pipekit_had"))
        return (
            f"{self.insert_into(table, columns)}\n"
            f"SELECT {self.columns(columns, prefix='s.')} FROM (\n"
            f"  SELECT s.*, {self.row_text(columns, 's')} AS {row}, row_number() OVER "
            f"(PARTITION BY {self.row_text(columns, 's')}) AS {number} FROM {source} s) s\n"
            f"LEFT JOIN (SELECT {self.row_text(columns, 'd')} AS {row}, count(*) AS {had} FROM {target} d\n"
            f"  WHERE d.{mark} >= {low} GROUP BY 1) d ON d.{row} = s.{row}\n"
            f"WHERE s.{number} > coalesce(d.{had}, 0)"
        )

    def upsert(self, table: TableName, staging: TableName, columns: Names, key: Names) -> str:
        """Return INSERT .. ON CONFLICT (key) DO UPDATE, for a unique key on just these columns and others beside it."""
        sets = ", ".join(f"{self.quote(c)} = excluded.{self.quote(c)}" for c in columns if c not in key)
        # WHERE true: SQLite otherwise reads ON as a join condition
        return (
            f"{self.insert_all(table, staging, columns)}\nWHERE true\n"
            f"ON CONFLICT ({self.columns(key)}) DO UPDATE SET {sets}"
        )

    def update_matching(
        self, table: TableName, staging: TableName, columns: Names, key: Names, *, null_safe: bool
    ) -> str:
        """Return the update of destination rows from staging by key, for tables without a unique key."""
        sets = ", ".join(f"{self.quote(c)} = s.{self.quote(c)}" for c in columns if c not in key)
        match = self.same_key(key, "d", "s", null_safe=null_safe)
        return f"UPDATE {self.qualified(table)} AS d SET {sets}\nFROM {self.qualified(staging)} s WHERE {match}"

    def insert_missing(
        self, table: TableName, staging: TableName, columns: Names, key: Names, *, null_safe: bool
    ) -> str:
        """Return the insert of staging rows whose key the destination has not."""
        match = self.same_key(key, "d", "s", null_safe=null_safe)
        return (
            f"{self.insert_into(table, columns)}\n"
            f"SELECT {self.columns(columns, prefix='s.')} FROM {self.qualified(staging)} s\n"
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.qualified(table)} d WHERE {match})"
        )
