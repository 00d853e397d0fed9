"""SQL text with which rows are published: DDL of staging and destination, and the statements of the strategies.

Standard SQL where it is enough; a destination's ``dialect.py`` overrides what its system says otherwise or does
faster. Table arguments are destination or staging tables, column arguments destination names. Every statement
of one publish runs in one transaction of one session.
"""

from __future__ import annotations

from zlib import crc32

from connections.sdk.dialect import Dialect
from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.schema import TableName

Names = tuple[str, ...]


def index_name(table: TableName, columns: Names) -> str:
    """Return a name for a key index that stays under 63 bytes and differs for tables that begin alike."""
    mark = f"{crc32(repr((table, columns)).encode()):08x}"
    return f"pipekit_{table.table.encode()[:40].decode(errors='ignore')}_{mark}_key"


def unused(name: str, columns: Names) -> str:
    """Return the name, lengthened until no column has it in any case: some systems do not tell cases apart."""
    taken = {column.casefold() for column in columns}
    while name.casefold() in taken:
        name += "_"
    return name


def _joined(texts: list[str]) -> str:
    """Return the texts with commas between them, halved and halved again: systems bound how deep an expression is."""
    if len(texts) == 1:
        return texts[0]
    half = len(texts) // 2
    return f"({_joined(texts[:half])} || ',' || {_joined(texts[half:])})"


class PublishingDialect(Dialect):
    # one transaction covers DDL and DML; where False the connection page says "not atomic"
    transactional = True
    # TRUNCATE inside a transaction can be rolled back
    truncates = True
    # INSERT .. ON CONFLICT exists
    has_on_conflict = True
    staging_schema = "pipekit_staging"
    text_type = "text"
    # the names under which one row of a table can be told from its twin; a column of that name hides it
    row_ids: Names = ("rowid",)

    def staging_table(self, module: str) -> TableName:
        return TableName(self.staging_schema, module)

    def create_schema(self, schema: str) -> str:
        return f"CREATE SCHEMA IF NOT EXISTS {self.quote(schema)}"

    def create_table(self, table: TableName, columns: list[tuple[str, str]], *, scratch: bool = False) -> str:
        """Return CREATE TABLE for (name, native type) pairs; ``scratch`` asks for the unlogged kind, if any."""
        body = ",\n  ".join(f"{self.quote(name)} {native}" for name, native in columns)
        return f"CREATE TABLE {self.qualified(table)} (\n  {body}\n)"

    def collated(self, native: str, collation: str) -> str:
        """Return a column's type as a table's definition has it, with the collation by which its keys compare."""
        return f"{native} COLLATE {collation}".strip() if collation else native

    def create_unique(self, table: TableName, columns: Names, *, version: int = 0) -> str:
        """Return CREATE UNIQUE INDEX over the merge key, NULLs counting as equal where that server version can."""
        name = self.quote(index_name(table, columns))
        return f"CREATE UNIQUE INDEX {name} ON {self.qualified(table)} ({self.columns(columns)})"

    def maximum(self, table: TableName, column: str) -> str:
        """Return MAX(column) as text, in the exact form in which it can be written into a literal again."""
        return f"SELECT CAST(MAX({self.quote(column)}) AS {self.text_type}) FROM {self.qualified(table)}"

    def maximum_of_type(self, native: str) -> str:
        """Return a query that fails when the system knows no MAX() of the type, and reads no table."""
        return f"SELECT MAX(CAST(NULL AS {native}))"

    def count_highest(self, table: TableName, column: str) -> str:
        """Return a count of the rows that share the column's highest value."""
        name, source = self.quote(column), self.qualified(table)
        return f"SELECT count(*) FROM {source} WHERE {name} = (SELECT MAX({name}) FROM {source})"

    def count_offsets(self, table: TableName, column: str) -> str:
        """Return a count of the texts that are moments with hours of offset."""
        name = self.quote(column)
        return (
            f"SELECT count(*) FROM {self.qualified(table)}\n"
            f"WHERE {name} LIKE '____-__-__%+__:__' OR {name} LIKE '____-__-__%-__:__'"
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

    def count(self, table: TableName) -> str:
        return f"SELECT count(*) FROM {self.qualified(table)}"

    def insert_all(self, table: TableName, staging: TableName, columns: Names) -> str:
        names = self.columns(columns)
        return f"INSERT INTO {self.qualified(table)} ({names})\nSELECT {names} FROM {self.qualified(staging)}"

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

    def duplicate_keys(self, staging: TableName, key: Names, *, limit: int = 5) -> str:
        """Return key values that stand in staging more than once, with their count last; NULLs count as equal."""
        names = self.columns(key)
        return (
            f"SELECT {names}, count(*) FROM {self.qualified(staging)}\n"
            f"GROUP BY {names} HAVING count(*) > 1 ORDER BY count(*) DESC LIMIT {limit}"
        )

    def count_keys(self, staging: TableName, key: Names) -> str:
        """Return a count of the distinct keys in staging; NULLs count as equal."""
        names = self.columns(key, prefix="t.")
        return f"SELECT count(*) FROM (SELECT count(*) AS n FROM {self.qualified(staging)} t GROUP BY {names}) g"

    def free_row_id(self, columns: Names) -> str:
        """Return a name of a table's row id that no column hides, or nothing."""
        taken = {column.casefold() for column in columns}
        return next((name for name in self.row_ids if name.casefold() not in taken), "")

    def row_id(self, columns: Names) -> str:
        """Return the name of a table's row id. Raises ConfigurationInvalid when columns hide every one."""
        found = self.free_row_id(columns)
        if not found:
            raise ConfigurationInvalid(
                f"keep_latest cannot tell rows apart in {self.name}: "
                f"columns hide its row ids {', '.join(self.row_ids)}.",
                hint="Give one of these columns another alias in the query.",
            )
        return found

    def keep_latest(self, staging: TableName, columns: Names, key: Names, watermark: str) -> str:
        """Return the statement that removes all but the newest staging row of each key; ties keep any one.

        Raises ConfigurationInvalid when the system cannot tell the rows apart.
        """
        # a condition is no value in some systems; in others a derived table has row ids of its own, so they get a name
        row, mark = self.row_id(columns), self.quote(watermark)
        return (
            f"DELETE FROM {self.qualified(staging)} WHERE {row} IN (\n"
            f"  SELECT pipekit_id FROM (SELECT t.{row} AS pipekit_id, row_number() OVER (\n"
            f"    PARTITION BY {self.columns(key, prefix='t.')}\n"
            f"    ORDER BY CASE WHEN t.{mark} IS NULL THEN 1 ELSE 0 END, t.{mark} DESC) AS pipekit_n\n"
            f"  FROM {self.qualified(staging)} t) ranked WHERE pipekit_n > 1)"
        )

    def row_text(self, columns: Names, prefix: str) -> str:
        """Return an expression that is equal for two rows exactly when all their columns are, NULLs included."""
        parts = [f"CAST({prefix}.{self.quote(c)} AS {self.text_type})" for c in columns]
        return _joined([f"coalesce('''' || replace({p}, '''', '''''') || '''', 'NULL')" for p in parts])

    def insert_unseen(self, table: TableName, staging: TableName, columns: Names, watermark: str) -> str:
        """Return the insert of staging rows that the destination lacks, comparing whole rows from the lowest mark on.

        A row is inserted only as often as staging holds it more often than the destination does, so what was read
        again (ties at the boundary, an overlap) is not doubled, and a true twin is not lost.
        """
        source = self.qualified(staging)
        row, number, had = (unused(name, columns) for name in ("pipekit_row", "pipekit_n", "pipekit_had"))
        return (
            f"INSERT INTO {self.qualified(table)} ({self.columns(columns)})\n"
            f"SELECT {self.columns(columns, prefix='s.')} FROM (\n"
            f"  SELECT r.*, row_number() OVER (PARTITION BY r.{row} ORDER BY r.{row}) AS {number}\n"
            f"  FROM (SELECT s.*, {self.row_text(columns, 's')} AS {row} FROM {source} s) r) s\n"
            f"LEFT JOIN ({self._had(table, staging, columns, watermark, row=row, had=had)}) d ON d.{row} = s.{row}\n"
            f"WHERE s.{number} > coalesce(d.{had}, 0)"
        )

    def _had(self, table: TableName, staging: TableName, columns: Names, watermark: str, *, row: str, had: str) -> str:
        """Return the query for how often the destination holds each row, from the lowest mark of staging on."""
        mark = self.quote(watermark)
        return (
            f"SELECT h.{row}, count(*) AS {had}\n"
            f"  FROM (SELECT {self.row_text(columns, 'd')} AS {row} FROM {self.qualified(table)} d\n"
            f"    WHERE d.{mark} >= (SELECT min({mark}) FROM {self.qualified(staging)})) h\n"
            f"  GROUP BY h.{row}"
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
            f"INSERT INTO {self.qualified(table)} ({self.columns(columns)})\n"
            f"SELECT {self.columns(columns, prefix='s.')} FROM {self.qualified(staging)} s\n"
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.qualified(table)} d WHERE {match})"
        )
