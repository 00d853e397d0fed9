"""Publishing SQL for systems with MERGE in place of INSERT .. ON CONFLICT and UPDATE .. FROM."""

from __future__ import annotations

from connections.sdk.schema import TableName
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.sql.row_identity import Names


class MergingDialect(PublishingDialect):
    """A dialect that updates and upserts rows by MERGE, and limits queries by FETCH."""

    # the beginning of DELETE and MERGE statements, up to the alias of the table
    delete_words = "DELETE FROM {table} d"
    merge_words = "MERGE INTO {table} d"

    def delete_matching(self, table: TableName, staging: TableName, key: Names, *, null_safe: bool) -> str:
        match = self.same_key(key, "d", "s", null_safe=null_safe)
        return (
            f"{self.delete_words.format(table=self.qualified(table))}\n"
            f"WHERE EXISTS (SELECT 1 FROM {self.qualified(staging)} s WHERE {match})"
        )

    def delete_missing(self, table: TableName, keys: TableName, key: Names) -> str:
        match = self.same_key(key, "d", "k", null_safe=False)
        return (
            f"{self.delete_words.format(table=self.qualified(table))}\n"
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.qualified(keys)} k WHERE {match})"
        )

    def limited(self, query: str, limit: int) -> str:
        return f"{query} FETCH FIRST {limit} ROWS ONLY"

    def upsert(self, table: TableName, staging: TableName, columns: Names, key: Names) -> str:
        inserted = f"INSERT ({self.columns(columns)}) VALUES ({self.columns(columns, prefix='s.')})"
        text = self._merge(table, staging, key, null_safe=False)
        if any(c not in key for c in columns):
            text += f"\nWHEN MATCHED THEN {self._update(columns, key)}"
        return f"{text}\nWHEN NOT MATCHED THEN {inserted}"

    def update_matching(
        self, table: TableName, staging: TableName, columns: Names, key: Names, *, null_safe: bool
    ) -> str:
        merge = self._merge(table, staging, key, null_safe=null_safe)
        return f"{merge}\nWHEN MATCHED THEN {self._update(columns, key)}"

    def _merge(self, table: TableName, staging: TableName, key: Names, *, null_safe: bool) -> str:
        words = self.merge_words.format(table=self.qualified(table))
        return f"{words}\nUSING {self.qualified(staging)} s ON ({self.same_key(key, 'd', 's', null_safe=null_safe)})"

    def _update(self, columns: Names, key: Names) -> str:
        return "UPDATE SET " + ", ".join(f"{self.quote(c)} = s.{self.quote(c)}" for c in columns if c not in key)
