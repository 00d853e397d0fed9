"""Introspection of DuckDB tables and queries, by DESCRIBE and the catalogue functions."""

from __future__ import annotations

import re
from typing import cast

from connections.connectors.duckdb.datatypes import parse
from connections.connectors.duckdb.driver import DuckdbSession, check_query
from connections.sdk.errors import PipekitError
from connections.sdk.protocols import Session
from connections.sdk.schema import ALL_CHANGES, ColumnInfo, TableInfo, TableName, bare_name
from connections.sdk.sql.foreign_keys import ForeignKey

# earlier versions have no is_generated; COLUMNS ignores columns that do not exist
_COLUMNS = """
SELECT column_name, data_type, is_nullable, column_default, COLUMNS('^(internal|is_generated)$')
FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? AND database_name = current_database()
ORDER BY column_index"""
_KEYS = """
SELECT constraint_type, constraint_column_names FROM duckdb_constraints()
WHERE schema_name = ? AND table_name = ? AND database_name = current_database()
AND constraint_type IN ('PRIMARY KEY', 'UNIQUE') ORDER BY constraint_type"""

_NAME = r'"(?:[^"]|"")+"|[^\s",()]+'
# also matches literals and quoted names, so that their contents are not taken for columns
_COLLATED = re.compile(
    rf"'(?:[^']|'')*'|[(,]\s*(?P<name>{_NAME}) VARCHAR COLLATE (?P<collation>{_NAME})|\"(?:[^\"]|\"\")*\""
)


def describe_query(session: Session, query: str) -> tuple[ColumnInfo, ...]:
    check_query(query, name=cast(DuckdbSession, session).name)
    rows = session.fetch(f"DESCRIBE {query}")
    return tuple(ColumnInfo(name=row[0], native_type=row[1], data_type=parse(row[1])) for row in rows)


def describe_table(session: Session, table: TableName) -> TableInfo | None:
    name = (table.schema or "main", table.table)
    rows = session.fetch(_COLUMNS, name)
    if not rows:
        return None
    keys = session.fetch(_KEYS, name)
    is_view = session.fetch(
        "SELECT 1 FROM duckdb_views() WHERE schema_name = ? AND view_name = ? AND database_name = current_database()",
        name,
    )
    collations = _collations(session, name)
    return TableInfo(
        name=TableName(*name),
        columns=tuple(
            ColumnInfo(
                name=column,
                native_type=native,
                data_type=parse(native),
                nullable=nullable,
                generated=bool(more and more[-1]),
                default=default or "",
                collation=collations.get(column, ""),
            )
            for column, native, nullable, default, _, *more in rows
        ),
        primary_key=next((tuple(columns) for kind, columns in keys if kind == "PRIMARY KEY"), ()),
        # indexes compare bytes, whatever the collation: ON CONFLICT would miss values that the column treats as equal
        unique_keys=tuple(tuple(columns) for _, columns in keys if not collations.keys() & set(columns)),
        kind="view" if is_view else "table",
        may_fill=bool(is_view),
        accepts=frozenset() if is_view else ALL_CHANGES - {"truncate"},
    )


def _collations(session: Session, name: tuple[str, str]) -> dict[str, str]:
    """Return the collations of columns, parsed from the definition of the table, the only place that has them."""
    rows = session.fetch(
        "SELECT sql FROM duckdb_tables() WHERE schema_name = ? AND table_name = ? "
        "AND database_name = current_database() AND contains(sql, ' COLLATE ')",
        name,
    )
    matches = _COLLATED.finditer(rows[0][0]) if rows else ()
    return {_unquoted(match["name"]): match["collation"] for match in matches if match["name"]}


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def may_change_written_rows(session: Session, table: TableName) -> bool:
    """Return False: DuckDB has neither triggers nor rules."""
    return False


def foreign_keys(session: Session, table: TableName) -> tuple[ForeignKey, ...]:
    """Return the foreign keys. In DuckDB they are always NO ACTION and within one schema; names keep their case."""
    schema = table.schema or "main"
    rows = session.fetch(
        "SELECT constraint_name, schema_name, table_name, constraint_column_names, referenced_column_names "
        "FROM duckdb_constraints() WHERE constraint_type = 'FOREIGN KEY' AND database_name = current_database() "
        "AND lower(schema_name) = lower(?) AND lower(referenced_table) = lower(?) ORDER BY table_name, constraint_name",
        (schema, table.table),
    )
    return tuple(
        ForeignKey(
            constraint=name,
            table=TableName(referencing_schema, referencing),
            columns=tuple(columns),
            referenced=TableName(schema, table.table),
            references=tuple(references),
            own=referencing.lower() == table.table.lower(),
        )
        for name, referencing_schema, referencing, columns, references in rows
    )


def conflicting_object(session: Session, table: TableName) -> str:
    """Return nothing: only tables and views can have the name of a table."""
    return ""


def similar_tables(session: Session, table: TableName) -> tuple[TableName, ...]:
    own = (table.schema or "main", table.table)
    rows = session.fetch(
        "SELECT DISTINCT schema_name, table_name FROM duckdb_columns() WHERE database_name = current_database() "
        "ORDER BY ALL"
    )
    bare = tuple(map(bare_name, own))
    return tuple(TableName(*row) for row in rows if row != own and tuple(map(bare_name, row)) == bare)


def similar_schemas(session: Session, schema: str) -> tuple[str, ...]:
    rows = session.fetch(
        "SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database() AND schema_name <> ? "
        "ORDER BY 1",
        (schema,),
    )
    return tuple(name for (name,) in rows if bare_name(name) == bare_name(schema))


def has_schema(session: Session, schema: str) -> bool:
    sql = "SELECT 1 FROM duckdb_schemas() WHERE schema_name = ? AND database_name = current_database()"
    return bool(session.fetch(sql, (schema,)))


def has_type(session: Session, native: str) -> bool:
    """Return whether a column can have the type; False for a UNION, whose text does not identify the member."""
    if "union(" in native.lower():
        return False
    try:
        session.fetch(f"SELECT CAST(NULL AS {native}) LIMIT 0")
    except PipekitError:
        return False
    return True
