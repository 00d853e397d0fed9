"""The exchange of tables on DuckDB: the former table is dropped, and the other one renamed; see the protocol.

A table cannot be moved to another schema, so the other one is filled in the schema of the table. A table with indexes
cannot be renamed, so they are created afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from connections.connectors.duckdb.dialect import DuckdbDialect
from connections.connectors.duckdb.driver import DuckdbSession
from connections.connectors.duckdb.table_definition import TableDefinition, read_definition
from connections.sdk.errors import TableMissing
from connections.sdk.protocols import Session
from connections.sdk.schema import TableName
from connections.sdk.table_exchange import obstacle_phrases

_OBSTACLES = Path(__file__).with_name("queries") / "exchange_obstacles.sql"
_PHRASES = {
    "dependent": "{names} depends on it",
    "key": "its {names} would need much memory while rows are staged",
    "references": "it references {names}",
    "referencing": "{names} references it",
    "type": "it uses the type {names}",
}
_NOT_ORDINARY = "it is not an ordinary table"
_UNKNOWN_FORM = "its definition or that of an index has an unknown form"

# nothing says whether a table was written to
keeps_former = False


def beside(table: TableName, staging: TableName) -> TableName:
    return TableName(table.schema, f"{staging.schema}.{staging.table}")


def left_beside(session: Session, staging: TableName) -> tuple[TableName, ...]:
    rows = session.fetch(
        "SELECT schema_name, table_name FROM duckdb_tables() "
        "WHERE database_name = current_database() AND table_name = ? ORDER BY ALL",
        (beside(staging, staging).table,),
    )
    return tuple(TableName(*row) for row in rows)


def obstacles(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    try:
        definition = read_definition(session, table)
    except TableMissing:
        return (_NOT_ORDINARY,)
    if not definition.body or not all(index.body for index in definition.indexes):
        return (_UNKNOWN_FORM,)
    rows = session.fetch(_OBSTACLES.read_text(), (table.schema or DuckdbDialect.default_schema, table.table))
    return obstacle_phrases([(word, name) for word, name in rows], _PHRASES)


def move_obstacles(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    return ()


def create(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    dialect, definition = _dialect(session), read_definition(session, table)
    name = dialect.qualified(beside)
    return (f"CREATE TABLE {name}{definition.body}", *_comments(dialect, definition, name))


def _comments(dialect: DuckdbDialect, definition: TableDefinition, name: str) -> Iterator[str]:
    if definition.comment is not None:
        yield f"COMMENT ON TABLE {name} IS {dialect.string(definition.comment)}"
    for column, comment in definition.comments:
        yield f"COMMENT ON COLUMN {name}.{dialect.quote(column)} IS {dialect.string(comment)}"


def complete(session: Session, table: TableName, beside: TableName, *, exists: bool = True) -> tuple[str, ...]:
    return ()


def lock(table: TableName) -> str:
    # no other process has the file open
    return ""


def differences(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    return tuple(read_definition(session, table).differences(read_definition(session, beside)))


def exchange(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    dialect, definition = _dialect(session), read_definition(session, table)
    name = dialect.qualified(table)
    statements = [f"DROP TABLE {name}", *move(session, table, beside)]
    for index in definition.indexes:
        statements.append(f"{index.create} {dialect.quote(index.name)} ON {name}{index.body}")
        if index.comment is not None:
            own = dialect.qualified(TableName(table.schema, index.name))
            statements.append(f"COMMENT ON INDEX {own} IS {dialect.string(index.comment)}")
    return tuple(statements)


def move(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    dialect = _dialect(session)
    return (f"ALTER TABLE {dialect.qualified(beside)} RENAME TO {dialect.quote(table.table)}",)


def _dialect(session: Session) -> DuckdbDialect:
    return DuckdbDialect(cast(DuckdbSession, session).catalog)
