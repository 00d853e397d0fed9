"""SQL dialect of H2: standard SQL; DDL and TRUNCATE commit implicitly."""

from __future__ import annotations

from connections.sdk.schema import TableName
from connections.sdk.sql.merge import MergingDialect
from connections.sdk.sql.watermark_timestamps import Timestamp
from connections.sdk.types import DataType, Kind


class H2Dialect(MergingDialect):
    name = "h2"
    max_identifier = 256
    identifier_unit = "characters"
    default_schema = "PUBLIC"
    transactional = False
    truncates = False
    text_type = "varchar"
    row_ids = ("_ROWID_",)

    def temporal(self, value: str, data_type: DataType) -> str:
        timestamp = Timestamp.parse(value)
        if data_type.kind is Kind.TIMESTAMPTZ and timestamp is not None:
            return f"TIMESTAMP WITH TIME ZONE {self.string(timestamp.text() + (timestamp.offset or '+00:00'))}"
        return super().temporal(value, data_type)

    def begin_publish(self, table: TableName, *, lock_seconds: float) -> tuple[str, ...]:
        return (f"SET LOCK_TIMEOUT {int(lock_seconds * 1000)}",)

    def lock_rows(self, *, shared: bool = False) -> str:
        return " FOR UPDATE"


DIALECT = H2Dialect()
