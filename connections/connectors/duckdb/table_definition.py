"""The definition of a table, as DuckDB writes it for an export: the text, comments and indexes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from connections.connectors.duckdb.dialect import DuckdbDialect
from connections.sdk.errors import TableMissing
from connections.sdk.protocols import Session
from connections.sdk.records import dataclass
from connections.sdk.schema import TableName

_OWN = "database_name = current_database() AND schema_name = ? AND table_name = ?"
_TABLE = f"SELECT sql, comment FROM duckdb_tables() WHERE {_OWN} AND NOT temporary"
_COLUMNS = f"SELECT column_name, comment FROM duckdb_columns() WHERE {_OWN} AND comment IS NOT NULL"
_INDEXES = f"SELECT index_name, sql, comment FROM duckdb_indexes() WHERE {_OWN} ORDER BY index_oid"
_NAME = r'(?:"(?:[^"]|"")*"|[^\s"(.;]+)'
# the name is without a catalogue, and so may be ambiguous
_CREATE_TABLE = re.compile(rf"CREATE TABLE (?:{_NAME}\.)*{_NAME}(?P<body>\(.*\));", re.DOTALL)
_CREATE_INDEX = re.compile(
    rf"(?P<create>CREATE (?:UNIQUE )?INDEX) {_NAME} ON (?:{_NAME}\.)*{_NAME}(?P<body>\(.*);", re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDefinition:
    """An index: ``create`` is the words before its name, ``body`` what follows the name of the table."""

    name: str
    create: str
    body: str
    comment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDefinition:
    """``body`` is what follows the table's name, ``comments`` those of columns by name."""

    body: str
    comment: str | None
    comments: tuple[tuple[str, str], ...]
    indexes: tuple[IndexDefinition, ...]

    def differences(self, beside: TableDefinition) -> Iterator[str]:
        """Yield in what the table ``beside`` differs, which has no indexes yet."""
        if self.body != beside.body:
            yield "its columns or constraints"
        if (self.comment, self.comments) != (beside.comment, beside.comments):
            yield "its comments"


def read_definition(session: Session, table: TableName) -> TableDefinition:
    """Return the definition of a table. Raises TableMissing when there is none of this name.

    A body is empty if its text has another form.
    """
    name = (table.schema or DuckdbDialect.default_schema, table.table)
    tables = session.fetch(_TABLE, name)
    if not tables:
        raise TableMissing(f"There is no table {table}.", hint="It was dropped or renamed; run it again.")
    sql, comment = tables[0]
    return TableDefinition(
        body=_part(_CREATE_TABLE, sql, "body"),
        comment=comment,
        comments=tuple(session.fetch(_COLUMNS, name)),
        indexes=tuple(
            IndexDefinition(
                name=index,
                create=_part(_CREATE_INDEX, text, "create"),
                body=_part(_CREATE_INDEX, text, "body"),
                comment=of_index,
            )
            for index, text, of_index in session.fetch(_INDEXES, name)
        ),
    )


def _part(pattern: re.Pattern[str], sql: str, group: str) -> str:
    match = pattern.fullmatch(sql)
    return match[group] if match else ""
