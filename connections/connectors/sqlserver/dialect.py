"""SQL dialect of SQL Server: [quoted] names, Unicode strings, date literals independent of the language setting."""

from __future__ import annotations

import re

from connections.sdk.schema import TableName
from connections.sdk.sql.grammar import Grammar
from connections.sdk.sql.merge import MergingDialect
from connections.sdk.sql.row_identity import Names
from connections.sdk.sql.watermark_timestamps import Timestamp
from connections.sdk.types import DataType, Kind

_TICKS_PER_SECOND = 300


class SqlserverDialect(MergingDialect):
    name = "sqlserver"
    grammar = Grammar(
        sqlglot="tsql",
        string_quotes=("'",),
        name_signs=True,
        at_variables=True,
        unicode_blanks=True,
        backslash_joins_lines=True,
        clauses=frozenset({"FOR JSON", "FOR XML", "OPTION", "PIVOT", "UNPIVOT"}),
        top_is_reserved=True,
        statements_without_semicolon=True,
        go_separates=True,
        order_needs_limit=True,
        alias_sign="=",
        string_aliases=True,
    )
    quotes = ("[", "]")
    identifier_unit = "characters"
    folds_to = ""
    default_schema = "dbo"
    text_type = "nvarchar(max)"
    delete_words = "DELETE d FROM {table} AS d"
    # without HOLDLOCK two concurrent merges of the same new key both insert it
    merge_words = "MERGE INTO {table} WITH (HOLDLOCK) AS d"

    def string(self, text: str) -> str:
        # N only where needed, because the server would convert a varchar column to compare, and not use its index
        prefix = "" if text.isascii() else "N"
        parts = re.split(r"(?<=\\)(?=\r?\n)", text)
        if len(parts) > 1:
            # the server removes a backslash together with a following line break
            return "(" + " + ".join(prefix + super(SqlserverDialect, self).string(part) for part in parts) + ")"
        return prefix + super().string(text)

    def concatenated(self, left: str, right: str) -> str:
        return f"{left} + {right}"

    def temporal(self, value: str, data_type: DataType) -> str:
        kind = data_type.kind
        timestamp = Timestamp.parse(value)
        if kind is Kind.DATE:
            return f"CAST({self.string(value)} AS date)"
        if kind is Kind.TIME or timestamp is None:
            return f"CAST({self.string(value[:16])} AS time(7))"
        if kind is Kind.TIMESTAMPTZ:
            offset = timestamp.offset or "+00:00"
            return f"CAST({self.string(timestamp.text(7, separator='T') + offset)} AS datetimeoffset(7))"
        if data_type.native.lower() == "datetime":
            timestamp = _floored_to_tick(timestamp)
        return f"CAST({self.string(timestamp.text(7, separator='T'))} AS datetime2(7))"

    def create_schema(self, schema: str) -> str:
        create = self.string(f"CREATE SCHEMA {self.quote(schema)}")
        return f"IF SCHEMA_ID({self.string(schema)}) IS NULL EXEC({create})"

    def maximum(self, table: TableName, column: str) -> str:
        # style 126: dates and times in ISO form, money with all four fractional digits
        return f"SELECT CONVERT({self.text_type}, MAX({self.quote(column)}), 126) FROM {self.qualified(table)}"

    def begin_publish(self, table: TableName, *, lock_seconds: float) -> tuple[str, ...]:
        resource, wait = self.string(f"pipekit {table}"[:255]), int(lock_seconds * 1000)
        return (
            "SET XACT_ABORT ON",
            f"SET LOCK_TIMEOUT {wait}",
            # sp_getapplock returns a negative number on failure; it raises no error
            f"DECLARE @answer int; EXEC @answer = sp_getapplock @Resource = {resource}, @LockMode = 'Exclusive', "
            f"@LockOwner = 'Transaction', @LockTimeout = {wait}; "
            "IF @answer < 0 THROW 51222, 'Another session holds the table.', 1",
        )

    def limited(self, query: str, limit: int) -> str:
        # FETCH needs ORDER BY and OFFSET
        return query.replace("SELECT ", f"SELECT TOP ({limit}) ", 1)

    def keep_latest(self, staging: TableName, columns: Names, key: Names, watermark: str) -> str:
        # deletes through the common table expression, because there is no row id; NULLs sort lowest
        return (
            f"WITH ranked AS (SELECT row_number() OVER (PARTITION BY {self.columns(key, prefix='t.')} "
            f"ORDER BY t.{self.quote(watermark)} DESC) AS pipekit_n FROM {self.qualified(staging)} t)\n"
            "DELETE FROM ranked WHERE pipekit_n > 1"
        )

    def row_text(self, columns: Names, prefix: str) -> str:
        # JSON has all digits of dates, money and floats, unlike CAST; the collation compares by code points
        names = self.columns(columns, prefix=prefix + ".")
        return f"(SELECT {names} FOR JSON PATH, INCLUDE_NULL_VALUES) COLLATE Latin1_General_BIN2"

    def upsert(self, table: TableName, staging: TableName, columns: Names, key: Names) -> str:
        return super().upsert(table, staging, columns, key) + ";"

    def update_matching(
        self, table: TableName, staging: TableName, columns: Names, key: Names, *, null_safe: bool
    ) -> str:
        return super().update_matching(table, staging, columns, key, null_safe=null_safe) + ";"

    def analyze(self, table: TableName) -> str:
        return f"UPDATE STATISTICS {self.qualified(table)}"


def _floored_to_tick(timestamp: Timestamp) -> Timestamp:
    """Return the last value of a ``datetime`` column that is not after the timestamp.

    Such a column stores 1/300 seconds, and displays them rounded to .000, .003 or .007. The stored value of .007 is
    .00666..., which is less than the displayed one, so that rows with this value would be skipped.
    """
    seconds = int(timestamp.fraction.ljust(12, "0"))
    tick = seconds * _TICKS_PER_SECOND // 10**12
    fraction = f"{tick * 10**7 // _TICKS_PER_SECOND:07d}".rstrip("0")
    return Timestamp(date=timestamp.date, time=timestamp.time, fraction=fraction, offset=timestamp.offset)


DIALECT = SqlserverDialect()
