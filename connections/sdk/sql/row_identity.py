"""Generation of SQL that identifies rows: by their key, by the system's row id, and by the values of all columns."""

from __future__ import annotations

from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.schema import TableName
from connections.sdk.sql.dialect import Dialect

Names = tuple[str, ...]


def unused(name: str, columns: Names) -> str:
    """Return ``name``, followed by as many underscores as make it differ from all columns, ignoring case."""
    taken = {column.casefold() for column in columns}
    while name.casefold() in taken:
        name += "_"
    return name


def _joined(texts: list[str]) -> str:
    """Return the concatenation of the texts, separated by commas, as a balanced tree.

    Systems limit the depth of an expression, which a chain of ``||`` would exceed.
    """
    if len(texts) == 1:
        return texts[0]
    half = len(texts) // 2
    return f"({_joined(texts[:half])} || ',' || {_joined(texts[half:])})"


class RowIdentity(Dialect):
    """SQL that distinguishes rows. The methods return SQL text unless they say otherwise."""

    text_type = "text"
    # names of the system's row id; each is hidden by a column of the same name
    row_ids: Names = ("rowid",)

    def limited(self, query: str, limit: int) -> str:
        """Return a query that begins with SELECT and has no row limit, with one."""
        return f"{query} LIMIT {limit}"

    def duplicate_keys(self, staging: TableName, key: Names, *, limit: int = 5) -> str:
        """Return a query for keys that occur in staging more than once, followed by their count; NULLs are equal."""
        names = self.columns(key)
        return self.limited(
            f"SELECT {names}, count(*) FROM {self.qualified(staging)}\n"
            f"GROUP BY {names} HAVING count(*) > 1 ORDER BY count(*) DESC",
            limit,
        )

    def count_keys(self, staging: TableName, key: Names) -> str:
        """Return a query for the number of distinct keys in staging; NULLs are equal."""
        names = self.columns(key, prefix="t.")
        return f"SELECT count(*) FROM (SELECT count(*) AS n FROM {self.qualified(staging)} t GROUP BY {names}) g"

    def free_row_id(self, columns: Names) -> str:
        """Return a name of the row id that no column hides; empty when all are hidden."""
        taken = {column.casefold() for column in columns}
        return next((name for name in self.row_ids if name.casefold() not in taken), "")

    def row_id(self, columns: Names) -> str:
        """Return a name of the row id that no column hides. Raises ConfigurationInvalid when all are hidden."""
        row_id = self.free_row_id(columns)
        if not row_id:
            raise ConfigurationInvalid(
                f"keep_latest cannot tell rows apart in {self.name}: "
                f"columns hide its row ids {', '.join(self.row_ids)}.",
                hint="Give one of these columns another alias in the query.",
            )
        return row_id

    def keep_latest(self, staging: TableName, columns: Names, key: Names, watermark: str) -> str:
        """Return the statement that deletes all but the newest staging row of each key; of ties any one is kept.

        Raises ConfigurationInvalid when the system cannot identify rows.
        """
        # CASE, because some systems cannot sort by a condition; an alias, because derived tables may have row ids too
        row, mark = self.row_id(columns), self.quote(watermark)
        return (
            f"DELETE FROM {self.qualified(staging)} WHERE {row} IN (\n"
            f"  SELECT pipekit_id FROM (SELECT t.{row} AS pipekit_id, row_number() OVER (\n"
            f"    PARTITION BY {self.columns(key, prefix='t.')}\n"
            f"    ORDER BY CASE WHEN t.{mark} IS NULL THEN 1 ELSE 0 END, t.{mark} DESC) AS pipekit_n\n"
            f"  FROM {self.qualified(staging)} t) ranked WHERE pipekit_n > 1)"
        )

    def exact_text(self, expression: str) -> str:
        """Return an expression for a text that differs for different values of the same type."""
        return f"CAST({expression} AS {self.text_type})"

    def row_text(self, columns: Names, prefix: str) -> str:
        """Return an expression that is equal for two rows if and only if all their columns are; NULLs are equal."""
        parts = [self.exact_text(f"{prefix}.{self.quote(c)}") for c in columns]
        return _joined([f"coalesce('''' || replace({p}, '''', '''''') || '''', 'NULL')" for p in parts])

    def insert_into(self, table: TableName, columns: Names) -> str:
        """Return the beginning of an INSERT, up to the list of columns."""
        return f"INSERT INTO {self.qualified(table)} ({self.columns(columns)})"

    def insert_missing_copies(self, table: TableName, staging: TableName, columns: Names, watermark: str) -> str:
        """Return the INSERT of staging rows that the destination lacks, comparing all columns.

        If staging has n copies of a row and the destination m, then n - m are inserted. So rows that are read again
        (with the watermark of the boundary, or in an overlap) are not duplicated, and true duplicates are not lost.
        """
        return (
            f"{self.insert_into(table, columns)}\n"
            f"{self._missing_copies(table, staging, columns, watermark, shown=self.columns(columns, prefix='s.'))}"
        )

    def count_missing_copies(self, table: TableName, staging: TableName, columns: Names, watermark: str) -> str:
        """Return a query for the number of rows that `insert_missing_copies` inserts."""
        return self._missing_copies(table, staging, columns, watermark, shown="count(*)")

    def _missing_copies(
        self, table: TableName, staging: TableName, columns: Names, watermark: str, *, shown: str
    ) -> str:
        source = self.qualified(staging)
        row, number, had = (unused(name, columns) for name in ("pipekit_row", "pipekit_n", "pipekit_had"))
        copies = self._copies_in_table(table, staging, columns, watermark, row=row, had=had)
        return (
            f"SELECT {shown} FROM (\n"
            f"  SELECT r.*, row_number() OVER (PARTITION BY r.{row} ORDER BY r.{row}) AS {number}\n"
            f"  FROM (SELECT s.*, {self.row_text(columns, 's')} AS {row} FROM {source} s) r) s\n"
            f"LEFT JOIN ({copies}) d ON d.{row} = s.{row}\n"
            f"WHERE s.{number} > coalesce(d.{had}, 0)"
        )

    def _copies_in_table(
        self, table: TableName, staging: TableName, columns: Names, watermark: str, *, row: str, had: str
    ) -> str:
        """Return a query for the number of copies in the destination of each row whose watermark is in staging."""
        mark, source = self.quote(watermark), self.qualified(staging)
        rows = f"SELECT {self.row_text(columns, 'd')} AS {row} FROM {self.qualified(table)} d"
        # watermarks are compared for equality, not with the lowest one, because two columns can sort text differently;
        # NULLs in a separate SELECT, because planners do not hash a condition with OR
        return (
            f"SELECT h.{row}, count(*) AS {had}\n"
            f"  FROM ({rows}\n"
            f"    WHERE d.{mark} IN (SELECT n.{mark} FROM {source} n)\n"
            f"    UNION ALL {rows}\n"
            f"    WHERE d.{mark} IS NULL AND EXISTS (SELECT 1 FROM {source} n WHERE n.{mark} IS NULL)) h\n"
            f"  GROUP BY h.{row}"
        )
