"""What a DuckDB table or query looks like, by DESCRIBE and the catalogue functions."""

from __future__ import annotations

from typing import cast

from connections.connectors.duckdb.datatypes import parse
from connections.connectors.duckdb.driver import DuckdbSession, check_query
from connections.sdk.errors import PipekitError
from connections.sdk.protocols import Session
from connections.sdk.schema import ColumnInfo, TableInfo, TableName


def describe_query(session: Session, query: str) -> tuple[ColumnInfo, ...]:
    check_query(query, name=cast(DuckdbSession, session).name)
    rows = session.fetch(f"DESCRIBE {query}")
    return tuple(ColumnInfo(name=row[0], native_type=row[1], data_type=parse(row[1])) for row in rows)


def describe_table(session: Session, table: TableName) -> TableInfo | None:
    place = (table.schema or "main", table.table)
    rows = session.fetch(
        "SELECT column_name, data_type, is_nullable FROM duckdb_columns() "
        "WHERE schema_name = ? AND table_name = ? AND database_name = current_database() ORDER BY column_index",
        place,
    )
    if not rows:
        return None
    keys = session.fetch(
        "SELECT constraint_type, constraint_column_names FROM duckdb_constraints() WHERE schema_name = ? "
        "AND table_name = ? AND constraint_type IN ('PRIMARY KEY', 'UNIQUE') ORDER BY constraint_type",
        place,
    )
    return TableInfo(
        name=TableName(*place),
        columns=tuple(
            ColumnInfo(name=name, native_type=native, data_type=parse(native), nullable=nullable)
            for name, native, nullable in rows
        ),
        primary_key=next((tuple(columns) for kind, columns in keys if kind == "PRIMARY KEY"), ()),
        unique_keys=tuple(tuple(columns) for _, columns in keys),
    )


def has_schema(session: Session, schema: str) -> bool:
    sql = "SELECT 1 FROM duckdb_schemas() WHERE schema_name = ? AND database_name = current_database()"
    return bool(session.fetch(sql, (schema,)))


def has_type(session: Session, native: str) -> bool:
    """Whether the type can be made here; not of a UNION, whose text does not say which member it is."""
    if "union(" in native.lower():
        return False
    try:
        session.fetch(f"SELECT CAST(NULL AS {native}) LIMIT 0")
    except PipekitError:
        return False
    return True
