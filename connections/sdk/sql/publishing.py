"""SQL text with which rows are published: DDL of staging and destination, and the statements of the strategies.

Standard SQL where it is enough; a destination's ``dialect.py`` overrides what its system says otherwise or does
faster. Table arguments are destination or staging tables, column arguments destination names. Every statement
of one publish runs in one transaction of one session.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from zlib import crc32

from connections.sdk.schema import TableName
from connections.sdk.sql import type_grammar
from connections.sdk.sql.row_identity import Names, RowIdentity

NO_COLLATIONS: Mapping[str, str] = MappingProxyType({})


def index_name(table: TableName, columns: Names) -> str:
    """Return a name for a key index that stays under 63 bytes and differs for tables that begin alike."""
    mark = f"{crc32(repr((table, columns)).encode()):08x}"
    return f"pipekit_{table.table.encode()[:40].decode(errors='ignore')}_{mark}_key"


def _collate(collation: str) -> str:
    return f" COLLATE {collation}" if collation else ""


class PublishingDialect(RowIdentity):
    # one transaction covers DDL and DML; where False the connection page says "not atomic"
    transactional = True
    # TRUNCATE inside a transaction can be rolled back
    truncates = True
    # INSERT .. ON CONFLICT exists
    has_on_conflict = True
    # an UPDATE never deletes a row and inserts it anew, which a foreign key of another table would forbid
    updates_in_place = True
    staging_schema = "pipekit_staging"

    def staging_table(self, module: str) -> TableName:
        return TableName(self.staging_schema, module)

    def create_schema(self, schema: str) -> str:
        return f"CREATE SCHEMA IF NOT EXISTS {self.quote(schema)}"

    def create_table(
        self,
        table: TableName,
        columns: list[tuple[str, str]],
        *,
        scratch: bool = False,
        collations: Mapping[str, str] = NO_COLLATIONS,
    ) -> str:
        """Return CREATE TABLE for (name, native type) pairs; ``scratch`` asks for the unlogged kind, if any.

        ``collations`` are those of columns by name, as SQL text: what the destination's catalogue says.
        Raises ConfigurationInvalid for a type that is more than a type.
        """
        body = ",\n  ".join(
            f"{self.quote(name)} {self._type(native)}{_collate(collations.get(name, ''))}" for name, native in columns
        )
        return f"CREATE TABLE {self.qualified(table)} (\n  {body}\n)"

    @staticmethod
    def _type(native: str) -> str:
        # control tables of our own have columns that are NOT NULL; a SQLite column may have no type
        if native:
            type_grammar.checked(native.removesuffix(" NOT NULL"))
        return native

    def create_unique(self, table: TableName, columns: Names, *, version: int = 0) -> str:
        """Return CREATE UNIQUE INDEX over the merge key, NULLs counting as equal where that server version can."""
        name = self.quote(index_name(table, columns))
        return f"CREATE UNIQUE INDEX {name} ON {self.qualified(table)} ({self.columns(columns)})"

    def maximum(self, table: TableName, column: str) -> str:
        """Return MAX(column) as text, in the exact form in which it can be written into a literal again."""
        return f"SELECT CAST(MAX({self.quote(column)}) AS {self.text_type}) FROM {self.qualified(table)}"

    def second_highest(self, table: TableName, column: str) -> str:
        """Return the highest value below MAX(column), as text; NULL when there is none."""
        name, source = self.quote(column), self.qualified(table)
        return (
            f"SELECT CAST(MAX({name}) AS {self.text_type}) FROM {source}\n"
            f"WHERE {name} < (SELECT MAX({name}) FROM {source})"
        )

    def maximum_of_type(self, native: str) -> str:
        """Return a query that fails when the system knows no MAX() of the type, and reads no table."""
        return f"SELECT MAX(CAST(NULL AS {native}))"

    def count_marks(self, table: TableName, column: str, *, ties: bool, offsets: bool) -> str:
        """Return three counts of rows: without a value, those that share the highest, texts with hours of offset.

        What is not asked for is 0.
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

    def clock(self) -> str:
        """Return a query for the system's time, in UTC or with its offset."""
        return "SELECT CURRENT_TIMESTAMP"

    def count_null(self, table: TableName, columns: Names) -> str:
        return f"SELECT count(*) FROM {self.qualified(table)} t WHERE {self.any_null(columns, 't')}"

    def without(self, table: TableName, column: str, shown: Names, *, limit: int = 1) -> str:
        """Return a query for rows in which the column is NULL, for systems that number such rows themselves."""
        names = self.columns(shown, prefix="t.") or "NULL"
        return f"SELECT {names} FROM {self.qualified(table)} t WHERE t.{self.quote(column)} IS NULL LIMIT {limit}"

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

    def run_deferred(self) -> str:
        """Return the statement that runs deferred triggers and checks deferred constraints now, or nothing."""
        return ""

    def with_identity_values(self) -> PublishingDialect:
        """Return the dialect whose inserts also give values to columns that are GENERATED ALWAYS AS IDENTITY."""
        return self

    def count(self, table: TableName) -> str:
        return f"SELECT count(*) FROM {self.qualified(table)}"

    def insert_all(self, table: TableName, staging: TableName, columns: Names) -> str:
        into = self.insert_into(table, columns)
        return f"{into}\nSELECT {self.columns(columns)} FROM {self.qualified(staging)}"

    def same_key(self, key: Names, target: str, staged: str, *, null_safe: bool) -> str:
        """Return the comparison of a destination row with a staged one by key, in the destination's meaning of equal.

        Staging has the destination's types and collations, and every statement compares in this order: some systems
        take the collation of one side. ``null_safe`` only for keys with NULLs (it defeats hash joins).
        """
        if not null_safe:
            return " AND ".join(f"{target}.{self.quote(k)} = {staged}.{self.quote(k)}" for k in key)
        return " AND ".join(
            f"({target}.{q} = {staged}.{q} OR ({target}.{q} IS NULL AND {staged}.{q} IS NULL))"
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

    def count_pairs(self, table: TableName, staging: TableName, key: Names, *, null_safe: bool) -> str:
        """Return two counts: staging rows whose key the destination has, and destination rows that have such a key."""
        match = self.same_key(key, "d", "s", null_safe=null_safe)
        return (
            f"SELECT count(*), coalesce(sum(g.n), 0) FROM (\n"
            f"  SELECT count(*) AS n FROM {self.qualified(staging)} s JOIN {self.qualified(table)} d ON {match}\n"
            f"  GROUP BY {self.columns(key, prefix='s.')}) g"
        )

    def delete_matching(self, table: TableName, staging: TableName, key: Names, *, null_safe: bool) -> str:
        """Return the delete of destination rows whose key is in staging."""
        match = self.same_key(key, "d", "s", null_safe=null_safe)
        return (
            f"DELETE FROM {self.qualified(table)} AS d\n"
            f"WHERE EXISTS (SELECT 1 FROM {self.qualified(staging)} s WHERE {match})"
        )

    def delete_missing(self, table: TableName, keys: TableName, key: Names) -> str:
        """Return the delete of destination rows whose key is not in the table of keys (none of them NULL)."""
        match = self.same_key(key, "d", "k", null_safe=False)
        return (
            f"DELETE FROM {self.qualified(table)} AS d\n"
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.qualified(keys)} k WHERE {match})"
        )

    def count_missing(self, table: TableName, keys: TableName, key: Names) -> str:
        match = self.same_key(key, "d", "k", null_safe=False)
        return (
            f"SELECT count(*) FROM {self.qualified(table)} d\n"
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.qualified(keys)} k WHERE {match})"
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
