"""Publishing SQL for systems that say MERGE where others say ON CONFLICT and UPDATE .. FROM."""

from __future__ import annotations

from connections.sdk.publishing import Names, PublishingDialect
from connections.sdk.schema import TableName


class MergingDialect(PublishingDialect):
    # what stands before the alias of a table that is deleted from or merged into
    delete_words = "DELETE FROM {table} d"
    merge_words = "MERGE INTO {table} d"

    def delete_matching(self, table: TableName, staging: TableName, key: Names, *, null_safe: bool) -> str:
        match = self.same_key(key, "s", "d", null_safe=null_safe)
        return (
            f"{self.delete_words.format(table=self.qualified(table))}\n"
            f"WHERE EXISTS (SELECT 1 FROM {self.qualified(staging)} s WHERE {match})"
        )

    def delete_missing(self, table: TableName, keys: TableName, key: Names) -> str:
        match = self.same_key(key, "k", "d", null_safe=False)
        return (
            f"{self.delete_words.format(table=self.qualified(table))}\n"
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.qualified(keys)} k WHERE {match})"
        )

    def duplicate_keys(self, staging: TableName, key: Names, *, limit: int = 5) -> str:
        text = super().duplicate_keys(staging, key, limit=limit)
        return text.removesuffix(f" LIMIT {limit}") + f" OFFSET 0 ROWS FETCH NEXT {limit} ROWS ONLY"

    def keep_latest(self, staging: TableName, key: Names, watermark: str) -> str:
        # a condition is no value in these systems; and a derived table has row ids of its own, so they get a name
        mark = self.quote(watermark)
        return (
            f"DELETE FROM {self.qualified(staging)} WHERE {self.row_id} IN (\n"
            f"  SELECT pipekit_id FROM (SELECT t.{self.row_id} AS pipekit_id, row_number() OVER (\n"
            f"    PARTITION BY {self.columns(key, prefix='t.')}\n"
            f"    ORDER BY CASE WHEN t.{mark} IS NULL THEN 1 ELSE 0 END, t.{mark} DESC) AS pipekit_n\n"
            f"  FROM {self.qualified(staging)} t) ranked WHERE pipekit_n > 1)"
        )

    def insert_unseen(self, table: TableName, staging: TableName, columns: Names, watermark: str) -> str:
        # the row's text is named before it is used: no GROUP BY by number, no row_number() without an order
        target, source, mark = self.qualified(table), self.qualified(staging), self.quote(watermark)
        return (
            f"INSERT INTO {target} ({self.columns(columns)})\n"
            f"SELECT {self.columns(columns, prefix='s.')} FROM (\n"
            f"  SELECT r.*, row_number() OVER (PARTITION BY r.pipekit_row ORDER BY r.pipekit_row) AS pipekit_n\n"
            f"  FROM (SELECT s.*, {self.row_text(columns, 's')} AS pipekit_row FROM {source} s) r) s\n"
            f"LEFT JOIN (SELECT h.pipekit_row, count(*) AS pipekit_had\n"
            f"  FROM (SELECT {self.row_text(columns, 'd')} AS pipekit_row FROM {target} d\n"
            f"    WHERE d.{mark} >= (SELECT min({mark}) FROM {source})) h\n"
            f"  GROUP BY h.pipekit_row) d ON d.pipekit_row = s.pipekit_row\n"
            f"WHERE s.pipekit_n > coalesce(d.pipekit_had, 0)"
        )

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
