"""DuckDB's SQL text: PostgreSQL-like, schemas in one file, transactional, no lock to wait for."""

from __future__ import annotations

from connections.sdk.datatypes import DataType, Kind
from connections.sdk.publishing import Names, PublishingDialect
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


DIALECT = DuckdbDialect()
