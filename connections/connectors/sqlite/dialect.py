"""SQLite's SQL text. It has no schemas: `sync.orders` is one table of that whole name, `main.orders` is `orders`."""

from __future__ import annotations

import datetime as dt

from connections.sdk.datatypes import DataType, Kind
from connections.sdk.publishing import PublishingDialect
from connections.sdk.schema import TableName


class SqliteDialect(PublishingDialect):
    name = "sqlite"
    sqlglot = "sqlite"
    max_identifier = 255
    folds_to = ""
    truncates = False

    def temporal(self, value: str, data_type: DataType) -> str:
        """Return the text at or below which no spelling of a later moment sorts: dates and times are text in SQLite.

        A blank sorts before the `T`, so `2026-01-31 10:00` finds both; midnight may stand as the bare date; with
        offsets the text order is not the time order, so the bound goes back a whole day.
        """
        value = value.replace("T", " ")
        if data_type.kind is Kind.TIMESTAMPTZ:
            value = (dt.date.fromisoformat(value[:10]) - dt.timedelta(days=1)).isoformat()
        return self.string(value.removesuffix(" 00:00:00"))

    def qualified(self, table: TableName) -> str:
        return self.quote(whole_name(table))

    def create_schema(self, schema: str) -> str:
        return ""


def whole_name(table: TableName) -> str:
    """Return the table's one name in the file."""
    return table.table if table.schema in ("", "main") else f"{table.schema}.{table.table}"


DIALECT = SqliteDialect()
