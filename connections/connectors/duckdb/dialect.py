"""DuckDB's SQL text: PostgreSQL-like, schemas in one file, transactional, no lock to wait for."""

from __future__ import annotations

from connections.sdk.datatypes import DataType, Kind
from connections.sdk.publishing import PublishingDialect
from connections.sdk.row_identity import Names, unused
from connections.sdk.schema import TableName


class DuckdbDialect(PublishingDialect):
    name = "duckdb"
    sqlglot = "duckdb"
    max_identifier = 255
    folds_to = ""
    default_schema = "main"
    # TRUNCATE is DELETE there; said as it is
    truncates = False

    def temporal(self, value: str, data_type: DataType) -> str:
        words = {Kind.DATE: "DATE", Kind.TIME: "TIME", Kind.TIMESTAMP: "TIMESTAMP", Kind.TIMESTAMPTZ: "TIMESTAMPTZ"}
        return f"{self.string(value)}::{words[data_type.kind]}"

    def create_unique(self, table: TableName, columns: Names, *, version: int = 0) -> str:
        # its indexes refuse a key that is deleted and inserted in one transaction, which is what incremental does
        return ""

    def row_text(self, columns: Names, prefix: str) -> str:
        # a list is planned a hundred times faster than a long sum of texts; bytes have no collation
        names = (f"{prefix}.{self.quote(c)}" for c in columns)
        return f"[{', '.join(f'encode(CAST({name} AS {self.text_type}))' for name in names)}]"

    def keep_latest(self, staging: TableName, columns: Names, key: Names, watermark: str) -> str:
        if "rowid" not in {column.casefold() for column in columns}:
            return super().keep_latest(staging, columns, key, watermark)
        # a column hides the only name that a row has: the rows to keep become the table
        number, mark = unused("pipekit_n", columns), self.quote(watermark)
        return (
            f"CREATE OR REPLACE TABLE {self.qualified(staging)} AS\n"
            f"SELECT {self.columns(columns, prefix='r.')} FROM (SELECT t.*, row_number() OVER (\n"
            f"    PARTITION BY {self.columns(key, prefix='t.')}\n"
            f"    ORDER BY CASE WHEN t.{mark} IS NULL THEN 1 ELSE 0 END, t.{mark} DESC) AS {number}\n"
            f"  FROM {self.qualified(staging)} t) r WHERE r.{number} = 1"
        )


DIALECT = DuckdbDialect()
