"""SQL text that tells staged rows from one another: by their key, by the system's row id, and as whole rows."""

from __future__ import annotations

from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.schema import TableName
from connections.sdk.sql.dialect import Dialect

Names = tuple[str, ...]


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


class RowIdentity(Dialect):
    text_type = "text"
    # the names under which one row of a table can be told from its twin; a column of that name hides it
    row_ids: Names = ("rowid",)

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

    def exact_text(self, expression: str) -> str:
        """Return the text of a value that no other value of its type has."""
        return f"CAST({expression} AS {self.text_type})"

    def row_text(self, columns: Names, prefix: str) -> str:
        """Return an expression that is equal for two rows exactly when all their columns are, NULLs included."""
        parts = [self.exact_text(f"{prefix}.{self.quote(c)}") for c in columns]
        return _joined([f"coalesce('''' || replace({p}, '''', '''''') || '''', 'NULL')" for p in parts])

    def insert_into(self, table: TableName, columns: Names) -> str:
        """Return how an INSERT begins."""
        return f"INSERT INTO {self.qualified(table)} ({self.columns(columns)})"

    def insert_unseen(self, table: TableName, staging: TableName, columns: Names, watermark: str) -> str:
        """Return the insert of staging rows that the destination lacks, comparing whole rows of the same marks.

        A row is inserted only as often as staging holds it more often than the destination does, so what was read
        again (ties at the boundary, an overlap) is not doubled, and a true twin is not lost.
        """
        return (
            f"{self.insert_into(table, columns)}\n"
            f"{self._unseen(table, staging, columns, watermark, shown=self.columns(columns, prefix='s.'))}"
        )

    def count_unseen(self, table: TableName, staging: TableName, columns: Names, watermark: str) -> str:
        """Return a count of the rows that `insert_unseen` inserts."""
        return self._unseen(table, staging, columns, watermark, shown="count(*)")

    def _unseen(self, table: TableName, staging: TableName, columns: Names, watermark: str, *, shown: str) -> str:
        source = self.qualified(staging)
        row, number, had = (unused(name, columns) for name in ("pipekit_row", "pipekit_n", "pipekit_had"))
        return (
            f"SELECT {shown} FROM (\n"
            f"  SELECT r.*, row_number() OVER (PARTITION BY r.{row} ORDER BY r.{row}) AS {number}\n"
            f"  FROM (SELECT s.*, {self.row_text(columns, 's')} AS {row} FROM {source} s) r) s\n"
            f"LEFT JOIN ({self._had(table, staging, columns, watermark, row=row, had=had)}) d ON d.{row} = s.{row}\n"
            f"WHERE s.{number} > coalesce(d.{had}, 0)"
        )

    def _had(self, table: TableName, staging: TableName, columns: Names, watermark: str, *, row: str, had: str) -> str:
        """Return the query for how often the destination holds each row whose mark is in staging, NULL included."""
        mark, source = self.quote(watermark), self.qualified(staging)
        rows = f"SELECT {self.row_text(columns, 'd')} AS {row} FROM {self.qualified(table)} d"
        # marks are compared by =, not from the lowest on: two columns can sort texts differently. NULLs come apart,
        # because OR keeps a planner from hashing
        return (
            f"SELECT h.{row}, count(*) AS {had}\n"
            f"  FROM ({rows}\n"
            f"    WHERE d.{mark} IN (SELECT n.{mark} FROM {source} n)\n"
            f"    UNION ALL {rows}\n"
            f"    WHERE d.{mark} IS NULL AND EXISTS (SELECT 1 FROM {source} n WHERE n.{mark} IS NULL)) h\n"
            f"  GROUP BY h.{row}"
        )
