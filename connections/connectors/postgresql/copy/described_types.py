"""The types of a raw copy's columns as the servers describe them, where the job does not contain them."""

from __future__ import annotations

from collections.abc import Sequence

from connections.connectors.postgresql.copy.raw_types import Types, base_name
from connections.connectors.postgresql.driver import PostgresqlSession
from connections.connectors.postgresql.introspection import describe_query, describe_table
from connections.sdk.errors import ColumnMissing, TableMissing
from connections.sdk.schema import Column, ColumnInfo, TableName
from connections.sdk.sql.final_semicolon import without_final_semicolon

# for types by name: whether they have a binary representation that is the same on other servers
_PORTABLE = """
SELECT x.name, t.typsend <> 0 AND t.typreceive <> 0 AND x.name !~ '^reg'
       AND (t.oid < 16384 OR t.typtype = 'e' OR (t.typtype = 'b' AND t.typelem = 0))
FROM unnest(%s::text[]) AS x(name) JOIN pg_type t ON t.oid = to_regtype(x.name)
"""


def types_of_query(session: PostgresqlSession, query: str, columns: Sequence[Column]) -> Types:
    """Describe the query. Raises ColumnMissing when it returns another number of columns."""
    described = describe_query(session, without_final_semicolon(query))
    if len(described) != len(columns):
        raise ColumnMissing(
            f"The source query returns {len(described)} columns, but the module has {len(columns)}.",
            hint="Refresh the module's columns from its query.",
        )
    return _types(session, described)


def types_of_table(session: PostgresqlSession, table: TableName, columns: Sequence[Column]) -> Types:
    """Describe the columns of the table. Raises TableMissing or ColumnMissing."""
    return _types(session, _destination_columns(session, table, columns))


def _destination_columns(session: PostgresqlSession, table: TableName, columns: Sequence[Column]) -> list[ColumnInfo]:
    info = describe_table(session, table)
    if info is None:
        raise TableMissing(f"There is no table {table} in the destination.", hint="Create it, or check its name.")
    dest_columns = [info.column(column.dest_name) for column in columns]
    if None in dest_columns:
        name = columns[dest_columns.index(None)].dest_name
        raise ColumnMissing(f"The table {table} has no column “{name}”.", hint="Add it, or change the mapping.")
    return [column for column in dest_columns if column]


def _types(session: PostgresqlSession, columns: Sequence[ColumnInfo]) -> Types:
    names = [base_name(column.native_type) for column in columns]
    portable = frozenset(name for name, portable in session.fetch(_PORTABLE, (names,)) if portable)
    return Types(natives=tuple(column.native_type for column in columns), portable=portable)
