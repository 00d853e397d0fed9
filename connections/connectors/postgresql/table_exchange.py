"""The exchange of tables on PostgreSQL, by renaming; see `connections.sdk.table_exchange`."""

from __future__ import annotations

from pathlib import Path

from connections.connectors.postgresql.dialect import DIALECT
from connections.connectors.postgresql.exchange import obstacles as found
from connections.connectors.postgresql.exchange.definition import empty_definition, read_definition
from connections.connectors.postgresql.exchange.renames import exchange_statements, move_statements, passing_name
from connections.connectors.postgresql.exchange.twin import (
    complete_statements,
    create_statements,
    grant_statements,
    release_statements,
)
from connections.connectors.postgresql.introspection import in_catalogue
from connections.sdk.protocols import Session
from connections.sdk.schema import TableName

_QUERIES = Path(__file__).with_name("queries")
# suffix of a table that is about to be dropped
_DROPPED = "dropped"
keeps_former = True


def beside(table: TableName, staging: TableName) -> TableName:
    return staging


def left_beside(session: Session, staging: TableName) -> tuple[TableName, ...]:
    table = passing_name(staging, _DROPPED)
    exists = session.fetch("SELECT to_regclass(%s) IS NOT NULL", (DIALECT.qualified(table),))[0][0]
    return (table,) if exists else ()


def obstacles(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    return found.of_exchange(session, _named(session, table), beside)


def move_obstacles(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    named = _named(session, table)
    if not named.schema:
        return ("the search_path has no schema for it",)
    return found.of_move(session, named, beside)


def create(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    return tuple(create_statements(read_definition(session, _named(session, table)), beside))


def complete(session: Session, table: TableName, beside: TableName, *, exists: bool = True) -> tuple[str, ...]:
    definition = read_definition(session, _named(session, table))
    twin = read_definition(session, beside) if exists else empty_definition(beside)
    return tuple(complete_statements(definition, twin))


def lock(table: TableName) -> str:
    return f"LOCK TABLE {DIALECT.qualified(table)} IN ACCESS EXCLUSIVE MODE"


def differences(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    return read_definition(session, _named(session, table)).differences(read_definition(session, beside))


def exchange(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    return tuple(exchange_statements(read_definition(session, _named(session, table)), beside))


def move(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    named = _named(session, table)
    granted = session.fetch(_query("default_privileges"), (named.schema,))
    return (*grant_statements(beside, granted), *move_statements(beside, named))


def release(session: Session, beside: TableName) -> tuple[str, ...]:
    return tuple(release_statements(read_definition(session, beside)))


def set_aside(session: Session, staging: TableName, *, minimum: int) -> tuple[TableName, str] | None:
    if session.fetch(_query("large_table"), (minimum, DIALECT.qualified(staging))) != [(True,)]:
        return None
    table = passing_name(staging, _DROPPED)
    return table, f"ALTER TABLE {DIALECT.qualified(staging)} RENAME TO {DIALECT.quote(table.table)}"


def data_version(session: Session, table: TableName, rows: int) -> str:
    # the file, which TRUNCATE replaces, and the transaction that inserted all rows, which frozen ones retain
    name = DIALECT.qualified(table)
    query = f"SELECT pg_relation_filenode(to_regclass(%s)), (SELECT xmin::text FROM {_escaped(name)} LIMIT 1)"
    file, transaction = session.fetch(query, (name,))[0]
    return f"{file} {transaction} {rows}"


def has_changed(session: Session, table: TableName, data_version: str) -> bool:
    name = DIALECT.qualified(table)
    file, transaction, rows = data_version.split()
    counts = "count(*), count(*) FILTER (WHERE xmin::text = %s)"
    query = f"SELECT pg_relation_filenode(to_regclass(%s)), {counts} FROM {_escaped(name)}"
    now = session.fetch(query, (name, transaction))[0]
    return now != (int(file), int(rows), int(rows))


def size(session: Session, table: TableName) -> int:
    rows = session.fetch("SELECT pg_total_relation_size(to_regclass(%s))", (DIALECT.qualified(table),))
    return int(rows[0][0] or 0)


def _escaped(name: str) -> str:
    """Return a name as part of a statement with parameters."""
    return name.replace("%", "%%")


def _query(name: str) -> str:
    return (_QUERIES / f"{name}.sql").read_text()


def _named(session: Session, table: TableName) -> TableName:
    """Return the table with its schema."""
    return TableName(*in_catalogue(session, table))
