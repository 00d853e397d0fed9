"""PostgreSQL's SQL text: 63-byte names, folding to lower case, UNLOGGED staging, transactional everything."""

from __future__ import annotations

from zlib import crc32

from connections.sdk.datatypes import DataType, Kind
from connections.sdk.publishing import Names, PublishingDialect
from connections.sdk.schema import TableName


class PostgresqlDialect(PublishingDialect):
    name = "postgresql"
    sqlglot = "postgres"
    max_identifier = 63
    placeholder = "%s"
    folds_to = "lower"
    default_schema = "public"
    row_id = "ctid"

    def temporal(self, value: str, data_type: DataType) -> str:
        words = {Kind.DATE: "date", Kind.TIME: "time", Kind.TIMESTAMP: "timestamp", Kind.TIMESTAMPTZ: "timestamptz"}
        return f"{self.string(value)}::{words[data_type.kind]}"

    def create_table(self, table: TableName, columns: list[tuple[str, str]], *, scratch: bool = False) -> str:
        text = super().create_table(table, columns)
        return text.replace("CREATE TABLE", "CREATE UNLOGGED TABLE", 1) if scratch else text

    def create_unique(self, table: TableName, columns: Names, *, version: int = 0) -> str:
        # before 15 an index cannot treat NULLs as equal; keys with NULLs then take the slower, null-safe statements
        nulls = " NULLS NOT DISTINCT" if version >= 150000 else ""
        return super().create_unique(table, columns) + nulls

    def begin_publish(self, table: TableName, *, lock_seconds: float) -> tuple[str, ...]:
        # the lock name only has to be the same for everybody who writes this table
        key = crc32(f"{table.schema}.{table.table}".encode())
        return (
            f"SET LOCAL lock_timeout = {int(lock_seconds * 1000)}",
            "SET LOCAL idle_in_transaction_session_timeout = '60s'",
            f"SELECT pg_advisory_xact_lock(1886415723, {key - 2**31})",
        )

    def analyze(self, table: TableName) -> str:
        return f"ANALYZE {self.qualified(table)}"

    def lock_rows(self) -> str:
        return " FOR UPDATE"


DIALECT = PostgresqlDialect()
