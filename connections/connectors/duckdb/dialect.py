"""SQL dialect of DuckDB: similar to PostgreSQL's; transactional DDL, no locks to wait for.

DuckDB names the catalogue of a file after the file. `schema.table` is ambiguous if a schema has the same name, so SQL
for a connection also names the catalogue.
"""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import Self

from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from connections.sdk.sql.grammar import Grammar
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.sql.row_identity import Names, unused
from connections.sdk.sql.type_validation import checked
from connections.sdk.types import DataType, Kind
from connections.url.parse import parse_url

_RESERVED = frozenset({"main", "temp", "system"})


def catalog_name(path: str) -> str:
    """Return the name that DuckDB gives the catalogue of a file."""
    parts = [part for part in PurePath(path).name.split(".") if part]
    name = parts[0] if parts else "memory"
    return f"{name}_db" if name.lower() in _RESERVED else name


class DuckdbDialect(PublishingDialect):
    """``catalog`` is the catalogue of the connection's file; empty in a dialect without connection."""

    name = "duckdb"
    grammar = Grammar(
        sqlglot="duckdb",
        unicode_blanks=True,
        clauses=frozenset({"LIMIT", "PIVOT", "QUALIFY", "UNPIVOT", "USING SAMPLE"}),
        from_first=True,
        alias_sign=":",
        string_aliases=True,
        trailing_comma=True,
        spreading=frozenset({"COLUMNS", "UNTUPLE", "UNPACK"}),
        unnest_spreads=True,
        reserved=frozenset(
            {
                *("ANTI", "ASOF", "AT", "COLLATION", "DESCRIBE", "GLOB", "LAMBDA", "PIVOT", "PIVOT_LONGER"),
                *("PIVOT_WIDER", "POSITIONAL", "QUALIFY", "SEMI", "SHOW", "SUMMARIZE", "UNPACK", "UNPIVOT"),
            }
        ),
    )
    max_identifier = 255
    folds_to = ""
    default_schema = "main"
    # TRUNCATE is an alias of DELETE
    truncates = False
    # updates of lists and of indexed columns delete and re-insert the row
    updates_in_place = False

    def __init__(self, catalog: str = "") -> None:
        self.catalog = catalog

    def for_connection(self, parameters: ConnectionParameters) -> Self:
        # DuckDB follows symbolic links before it names the catalogue
        return type(self)(catalog_name(os.path.realpath(parse_url(parameters.url, kind="duckdb").path)))

    def qualified(self, table: TableName) -> str:
        if not self.catalog:
            return super().qualified(table)
        schema = table.schema or self.default_schema
        return ".".join(map(self.quote, (self.catalog, schema, table.table)))

    def create_schema(self, schema: str) -> str:
        prefix = f"{self.quote(self.catalog)}." if self.catalog else ""
        return f"CREATE SCHEMA IF NOT EXISTS {prefix}{self.quote(schema)}"

    def temporal(self, value: str, data_type: DataType) -> str:
        words = {Kind.DATE: "DATE", Kind.TIME: "TIME", Kind.TIMESTAMP: "TIMESTAMP", Kind.TIMESTAMPTZ: "TIMESTAMPTZ"}
        return f"{self.string(value)}::{words[data_type.kind]}"

    def own_literal(self, value: str, data_type: DataType) -> str:
        # enums are ordered by their members, but compared with text as text
        text = self.string(value)
        return f"{text}::{checked(data_type.native)}" if data_type.native.upper().startswith("ENUM(") else text

    def create_unique(
        self, table: TableName, columns: Names, *, version: int = 0, named_for: TableName | None = None
    ) -> str:
        # unique indexes refuse a key that is deleted and inserted in the same transaction, as by incremental
        return ""

    def create_index(self, table: TableName, column: str, *, named_for: TableName | None = None) -> str:
        # each row group has its minimum and maximum
        return ""

    def row_text(self, columns: Names, prefix: str) -> str:
        # planning a list is a hundred times faster than a long concatenation; bytes have no collation
        names = (f"{prefix}.{self.quote(c)}" for c in columns)
        return f"[{', '.join(f'encode(CAST({name} AS {self.text_type}))' for name in names)}]"

    def keep_latest(self, staging: TableName, columns: Names, key: Names, watermark: str) -> str:
        if "rowid" not in {column.casefold() for column in columns}:
            return super().keep_latest(staging, columns, key, watermark)
        # a column hides the row id: replace the table by the rows to keep
        number, mark = unused("pipekit_n", columns), self.quote(watermark)
        return (
            f"CREATE OR REPLACE TABLE {self.qualified(staging)} AS\n"
            f"SELECT {self.columns(columns, prefix='r.')} FROM (SELECT t.*, row_number() OVER (\n"
            f"    PARTITION BY {self.columns(key, prefix='t.')}\n"
            f"    ORDER BY CASE WHEN t.{mark} IS NULL THEN 1 ELSE 0 END, t.{mark} DESC) AS {number}\n"
            f"  FROM {self.qualified(staging)} t) r WHERE r.{number} = 1"
        )


DIALECT = DuckdbDialect()
