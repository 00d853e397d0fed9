"""Generation of the statements of the merge strategies, which bring staged rows into the destination table.

The statements are standard SQL where possible; a connector's ``dialect.py`` overrides what its system writes
differently or executes faster.
"""

from __future__ import annotations

from connections.sdk.schema import TableName
from connections.sdk.sql.row_identity import Names, RowIdentity


class StrategyDialect(RowIdentity):
    """The statements by which strategies compare staging with the destination and write rows. Methods return SQL text.

    Table arguments are destination or staging tables, column arguments destination names.
    """

    def insert_all(self, table: TableName, staging: TableName, columns: Names) -> str:
        """Return the INSERT of all staging rows."""
        into = self.insert_into(table, columns)
        return f"{into}\nSELECT {self.columns(columns)} FROM {self.qualified(staging)}"

    def same_key(self, key: Names, target: str, staged: str, *, null_safe: bool) -> str:
        """Return the condition that a destination row and a staging row, given by their aliases, have the same key.

        Staging has the types and collations of the destination. The destination is always on the left, because some
        systems compare by the collation of one side. ``null_safe`` treats NULLs as equal; it prevents hash joins.
        """
        if not null_safe:
            return " AND ".join(f"{target}.{self.quote(k)} = {staged}.{self.quote(k)}" for k in key)
        return " AND ".join(
            f"({target}.{q} = {staged}.{q} OR ({target}.{q} IS NULL AND {staged}.{q} IS NULL))"
            for q in (self.quote(k) for k in key)
        )

    def any_null(self, key: Names, prefix: str) -> str:
        """Return the condition that a column of the key is NULL."""
        return "(" + " OR ".join(f"{prefix}.{self.quote(k)} IS NULL" for k in key) + ")"

    def count_matching(self, table: TableName, staging: TableName, key: Names, *, null_safe: bool) -> str:
        """Return a query for the number of staging rows whose key exists in the destination."""
        match = self.same_key(key, "d", "s", null_safe=null_safe)
        return (
            f"SELECT count(*) FROM {self.qualified(staging)} s\n"
            f"WHERE EXISTS (SELECT 1 FROM {self.qualified(table)} d WHERE {match})"
        )

    def count_pairs(self, table: TableName, staging: TableName, key: Names, *, null_safe: bool) -> str:
        """Return a query for the numbers of staging rows and of destination rows whose key is in the other table."""
        match = self.same_key(key, "d", "s", null_safe=null_safe)
        return (
            f"SELECT count(*), coalesce(sum(g.n), 0) FROM (\n"
            f"  SELECT count(*) AS n FROM {self.qualified(staging)} s JOIN {self.qualified(table)} d ON {match}\n"
            f"  GROUP BY {self.columns(key, prefix='s.')}) g"
        )

    def delete_matching(self, table: TableName, staging: TableName, key: Names, *, null_safe: bool) -> str:
        """Return the DELETE of destination rows whose key is in staging."""
        match = self.same_key(key, "d", "s", null_safe=null_safe)
        return (
            f"DELETE FROM {self.qualified(table)} AS d\n"
            f"WHERE EXISTS (SELECT 1 FROM {self.qualified(staging)} s WHERE {match})"
        )

    def delete_missing(self, table: TableName, keys: TableName, key: Names) -> str:
        """Return the DELETE of destination rows whose key is not in the table ``keys``, which contains no NULLs."""
        match = self.same_key(key, "d", "k", null_safe=False)
        return (
            f"DELETE FROM {self.qualified(table)} AS d\n"
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.qualified(keys)} k WHERE {match})"
        )

    def count_missing(self, table: TableName, keys: TableName, key: Names) -> str:
        """Return a query for the number of rows that `delete_missing` deletes."""
        match = self.same_key(key, "d", "k", null_safe=False)
        return (
            f"SELECT count(*) FROM {self.qualified(table)} d\n"
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.qualified(keys)} k WHERE {match})"
        )

    def upsert(self, table: TableName, staging: TableName, columns: Names, key: Names) -> str:
        """Return INSERT .. ON CONFLICT (key) DO UPDATE. Requires a unique key on ``key`` and a column outside of it."""
        sets = ", ".join(f"{self.quote(c)} = excluded.{self.quote(c)}" for c in columns if c not in key)
        # without WHERE true SQLite parses ON as a join condition
        return (
            f"{self.insert_all(table, staging, columns)}\nWHERE true\n"
            f"ON CONFLICT ({self.columns(key)}) DO UPDATE SET {sets}"
        )

    def counted_upsert(self, table: TableName, staging: TableName, columns: Names, key: Names) -> str:
        """Return `upsert` as a query for the numbers of written rows, and of those among them that existed before."""
        raise NotImplementedError

    def update_matching(
        self, table: TableName, staging: TableName, columns: Names, key: Names, *, null_safe: bool
    ) -> str:
        """Return the UPDATE of destination rows from staging rows of the same key; needs no unique key."""
        sets = ", ".join(f"{self.quote(c)} = s.{self.quote(c)}" for c in columns if c not in key)
        match = self.same_key(key, "d", "s", null_safe=null_safe)
        return f"UPDATE {self.qualified(table)} AS d SET {sets}\nFROM {self.qualified(staging)} s WHERE {match}"

    def insert_missing(
        self, table: TableName, staging: TableName, columns: Names, key: Names, *, null_safe: bool
    ) -> str:
        """Return the INSERT of staging rows whose key does not exist in the destination."""
        match = self.same_key(key, "d", "s", null_safe=null_safe)
        return (
            f"{self.insert_into(table, columns)}\n"
            f"SELECT {self.columns(columns, prefix='s.')} FROM {self.qualified(staging)} s\n"
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.qualified(table)} d WHERE {match})"
        )
