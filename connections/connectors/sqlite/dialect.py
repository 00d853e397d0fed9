"""SQL dialect of SQLite. It has no schemas: `sync.orders` is the name of a table, `main.orders` that of `orders`."""

from __future__ import annotations

from connections.sdk.schema import TableName
from connections.sdk.sql.grammar import Grammar
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.sql.row_identity import Names
from connections.sdk.sql.watermark_timestamps import lowest_spelling
from connections.sdk.types import DataType, Kind


class SqliteDialect(PublishingDialect):
    name = "sqlite"
    grammar = Grammar(
        sqlglot="sqlite",
        clauses=frozenset({"LIMIT"}),
        string_aliases=True,
        user_is_column=True,
        unknown_names_are_text=True,
        reserved=frozenset({"ADD", "ALTER", "COMMIT", "NOTHING", "RAISE", "TRANSACTION"}),
    )
    max_identifier = 255
    folds_to = ""
    folds_ascii_only = True
    keeps_signed_zero = False
    truncates = False
    row_ids = ("rowid", "_rowid_", "oid")

    def compares_as_text(self, data_type: DataType) -> bool:
        """Return whether it may be stored as text: dates, times, and columns without a declared type, are or may be."""
        return not data_type.is_numeric and data_type.kind not in (Kind.BINARY, Kind.BOOLEAN)

    def may_hold_numbers(self, data_type: DataType) -> bool:
        # not for types with TEXT affinity: https://www.sqlite.org/datatype3.html section 3.1
        name = data_type.native.upper()
        return "INT" in name or not any(word in name for word in ("CHAR", "CLOB", "TEXT"))

    def temporal(self, value: str, data_type: DataType) -> str:
        """Return a literal that sorts at or below every text form of the value and of later ones."""
        return self.string(lowest_spelling(value, data_type.kind) or value)

    def exact_text(self, expression: str) -> str:
        # CAST rounds a number to fifteen digits; where these are not exact, seventeen are
        text = super().exact_text(expression)
        return (
            f"CASE WHEN typeof({expression}) = 'real' AND CAST({text} AS real) <> {expression} "
            f"THEN printf('%!.17g', {expression}) ELSE {text} END"
        )

    def maximum(self, table: TableName, column: str) -> str:
        highest = f"SELECT MAX({self.quote(column)}) AS highest FROM {self.qualified(table)}"
        return f"SELECT {self.exact_text('m.highest')} FROM ({highest}) m"

    def qualified(self, table: TableName) -> str:
        return self.quote(whole_name(table))

    def table_key(self, table: TableName) -> str:
        return super().table_key(TableName("", whole_name(table)))

    def same_key(self, key: Names, target: str, staged: str, *, null_safe: bool) -> str:
        # SQLite compares by the collation of the left side; staging has that of the key, even if only its index has it
        return super().same_key(key, staged, target, null_safe=null_safe)

    def _missing_copies(
        self, table: TableName, staging: TableName, columns: Names, watermark: str, *, shown: str
    ) -> str:
        # joined by row id, because `r.*` and three more columns could exceed the maximum number of columns
        if not (row := self.free_row_id(columns)):
            return super()._missing_copies(table, staging, columns, watermark, shown=shown)
        source = self.qualified(staging)
        text = self.row_text(columns, "s")
        copies = self._copies_in_table(table, staging, columns, watermark, row="pipekit_row", had="pipekit_had")
        return (
            f"SELECT {shown} FROM (\n"
            f"  SELECT r.*, row_number() OVER (PARTITION BY r.pipekit_row ORDER BY r.pipekit_row) AS pipekit_n\n"
            f"  FROM (SELECT s.{row} AS pipekit_id, {text} AS pipekit_row FROM {source} s) r) u\n"
            f"JOIN {source} s ON s.{row} = u.pipekit_id\n"
            f"LEFT JOIN ({copies}) d ON d.pipekit_row = u.pipekit_row\n"
            f"WHERE u.pipekit_n > coalesce(d.pipekit_had, 0)"
        )

    def create_schema(self, schema: str) -> str:
        return ""


def whole_name(table: TableName) -> str:
    """Return the name of the table in the file, which includes the schema."""
    return table.table if table.schema in ("", "main") else f"{table.schema}.{table.table}"


DIALECT = SqliteDialect()
