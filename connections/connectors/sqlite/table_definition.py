"""The definition of a table: the text from which a twin is made, and what else is carried over to it."""

from __future__ import annotations

import re

from connections.connectors.sqlite.dialect import whole_name
from connections.sdk.errors import TableMissing
from connections.sdk.protocols import Session
from connections.sdk.records import dataclass
from connections.sdk.schema import TableName

# a name as SQLite's tokenizer reads it, bare or in any of its quotes
_NAME = r'[A-Za-z0-9_$\x80-\U0010ffff]+|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|\'(?:[^\']|\'\')*\''
# SQLite stores each definition from the table's name on, after these two words; the name is then without a schema
_CREATE_TABLE = re.compile(rf"CREATE TABLE (?:{_NAME})(?P<body>.*)", re.DOTALL)
_HAS_ROWS = "SELECT 1 FROM {table} WHERE {column} = ? LIMIT 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDefinition:
    """``name`` is the table's as it is stored, ``body`` its definition after the name, ``indexes`` their definitions.

    ``has_sequence`` means that AUTOINCREMENT has counted rows, ``is_analyzed`` that there are planner statistics.
    """

    name: str
    body: str
    indexes: tuple[str, ...]
    has_sequence: bool
    is_analyzed: bool


def _body(sql: str) -> str:
    """Return what follows the name in the stored definition of a table; empty if it has another form."""
    match = _CREATE_TABLE.fullmatch(sql)
    return match["body"] if match else ""


def read_definition(session: Session, table: TableName) -> TableDefinition:
    """Return the definition of a table. Raises TableMissing when there is none of this name."""
    rows = session.fetch(
        "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'index') AND tbl_name = ? COLLATE NOCASE "
        # indexes of constraints have no definition of their own
        "AND sql IS NOT NULL ORDER BY rowid",
        (whole_name(table),),
    )
    tables = [(name, sql) for kind, name, sql in rows if kind == "table"]
    if not tables:
        raise TableMissing(f"There is no table {table}.", hint="It was dropped or renamed; run it again.")
    name, sql = tables[0]
    return TableDefinition(
        name=name,
        body=_body(sql),
        indexes=tuple(sql for kind, _, sql in rows if kind == "index"),
        has_sequence=_has_rows(session, "sqlite_sequence", "name", name),
        is_analyzed=_has_rows(session, "sqlite_stat1", "tbl", name),
    )


def _has_rows(session: Session, table: str, column: str, name: str) -> bool:
    # SQLite creates these tables when they are needed for the first time
    if not session.fetch("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,)):
        return False
    return bool(session.fetch(_HAS_ROWS.format(table=table, column=column), (name,)))
