"""What a DuckDB table or query looks like, by DESCRIBE and the catalogue functions."""

from __future__ import annotations

import re
from typing import cast

from connections.connectors.duckdb.datatypes import parse
from connections.connectors.duckdb.driver import DuckdbSession, check_query
from connections.sdk.errors import PipekitError
from connections.sdk.protocols import Session
from connections.sdk.schema import ALL_CHANGES, ColumnInfo, TableInfo, TableName, bare_name
from connections.sdk.sql.foreign_keys import ForeignKey

# is_generated is unknown to earlier versions; COLUMNS leaves out what is not there
_COLUMNS = """
SELECT column_name, data_type, is_nullable, column_default, COLUMNS('^(internal|is_generated)$')
FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? AND database_name = current_database()
ORDER BY column_index"""
_KEYS = """
SELECT constraint_type, constraint_column_names FROM duckdb_constraints()
WHERE schema_name = ? AND table_name = ? AND database_name = current_database()
AND constraint_type IN ('PRIMARY KEY', 'UNIQUE') ORDER BY constraint_type"""

_NAME = r'"(?:[^"]|"")+"|[^\s",()]+'
# texts and quoted names are taken whole: what stands in them is no column
_COLLATED = re.compile(
    rf"'(?:[^']|'')*'|[(,]\s*(?P<name>{_NAME}) VARCHAR COLLATE (?P<collation>{_NAME})|\"(?:[^\"]|\"\")*\""
)


def describe_query(session: Session, query: str) -> tuple[ColumnInfo, ...]:
    check_query(query, name=cast(DuckdbSession, session).name)
    rows = session.fetch(f"DESCRIBE {query}")
    return tuple(ColumnInfo(name=row[0], native_type=row[1], data_type=parse(row[1])) for row in rows)


def describe_table(session: Session, table: TableName) -> TableInfo | None:
    place = (table.schema or "main", table.table)
    rows = session.fetch(
        _COLUMNS,
        place,
    )
    if not rows:
        return None
    keys = session.fetch(
        _KEYS,
        place,
    )
    is_view = session.fetch(
        "SELECT 1 FROM duckdb_views() WHERE schema_name = ? AND view_name = ? AND database_name = current_database()",
        place,
    )
    collations = _collations(session, place)
    return TableInfo(
        name=TableName(*place),
        columns=tuple(
            ColumnInfo(
                name=name,
                native_type=native,
                data_type=parse(native),
                nullable=nullable,
                generated=bool(more and more[-1]),
                default=default or "",
                collation=collations.get(name, ""),
            )
            for name, native, nullable, default, _, *more in rows
        ),
        primary_key=next((tuple(columns) for kind, columns in keys if kind == "PRIMARY KEY"), ()),
        # an index compares bytes whatever the collation: ON CONFLICT would not see what the column calls equal
        unique_keys=tuple(tuple(columns) for _, columns in keys if not collations.keys() & set(columns)),
        kind="view" if is_view else "table",
        may_fill=bool(is_view),
        accepts=frozenset() if is_view else ALL_CHANGES - {"truncate"},
    )


def _collations(session: Session, place: tuple[str, str]) -> dict[str, str]:
    """Return the collations of columns, which only the table's definition, as DuckDB writes it, tells."""
    rows = session.fetch(
        "SELECT sql FROM duckdb_tables() WHERE schema_name = ? AND table_name = ? "
        "AND database_name = current_database() AND contains(sql, ' COLLATE ')",
        place,
    )
    found = _COLLATED.finditer(rows[0][0]) if rows else ()
    return {_unquoted(match["name"]): match["collation"] for match in found if match["name"]}


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def may_skip_rows(session: Session, table: TableName) -> bool:
    """It has neither triggers nor rules."""
    return False


def foreign_keys(session: Session, table: TableName) -> tuple[ForeignKey, ...]:
    """Return them; DuckDB knows no ON DELETE but NO ACTION, and no key across schemas. It keeps names as written."""
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
            table=TableName(place, referencing),
            columns=tuple(columns),
            referenced=TableName(schema, table.table),
            references=tuple(references),
            own=referencing.lower() == table.table.lower(),
        )
        for name, place, referencing, columns, references in rows
    )


def occupant(session: Session, table: TableName) -> str:
    """Return nothing: only tables and views share their names."""
    return ""


def similar_tables(session: Session, table: TableName) -> tuple[TableName, ...]:
    place = (table.schema or "main", table.table)
    rows = session.fetch(
        "SELECT DISTINCT schema_name, table_name FROM duckdb_columns() WHERE database_name = current_database() "
        "ORDER BY ALL"
    )
    wanted = tuple(map(bare_name, place))
    return tuple(TableName(*row) for row in rows if row != place and tuple(map(bare_name, row)) == wanted)


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
    """Whether the type can be made here; not of a UNION, whose text does not say which member it is."""
    if "union(" in native.lower():
        return False
    try:
        session.fetch(f"SELECT CAST(NULL AS {native}) LIMIT 0")
    except PipekitError:
        return False
    return True
