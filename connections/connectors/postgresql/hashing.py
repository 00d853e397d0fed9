"""Row hashes that two PostgreSQL servers compute alike, each over the rows that a raw copy would move.

`hash_record_extended` (since 14) hashes a record by the types' own extended hash functions, which are kept stable
across versions and machines of one byte order for hash partitioning. `PROBE` shows whether two servers agree.
Source of the functions: PostgreSQL's `src/backend/utils/adt/rowtypes.c` and `pg_proc.dat`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from connections.connectors.postgresql import raw_types
from connections.connectors.postgresql.dialect import DIALECT
from connections.connectors.postgresql.driver import PostgresqlSession
from connections.connectors.postgresql.introspection import describe_query, describe_table
from connections.sdk.hashing import HashedColumn, NotHashed, RowHashing
from connections.sdk.query_text import statement
from connections.sdk.schema import Column, TableName

_SINCE = 140000
# hashed as they are: two values of these types are equal exactly when they are the same value
_BY_VALUE = frozenset(
    {
        "smallint",
        "integer",
        "bigint",
        "numeric",
        "boolean",
        "date",
        "uuid",
        "bytea",
        "time without time zone",
        "timestamp without time zone",
        "timestamp with time zone",
    }
)
_PADDED = frozenset({"character", "bpchar"})
PROBE = "SELECT hash_record_extended(ROW(1::smallint, 2, 3::bigint, 4.50, true, 'é'::text COLLATE \"C\"), 0)"


def plan(
    source: PostgresqlSession,
    query: str,
    *,
    destination: PostgresqlSession,
    table: TableName,
    columns: Sequence[Column],
) -> RowHashing | NotHashed:
    """Return the SQL with which both servers hash the module's rows, or why they cannot do so alike."""
    if min(source.server_version, destination.server_version) < _SINCE:
        return NotHashed(why="a server is older than PostgreSQL 14")
    found = raw_types.plan(source, query, destination=destination, table=table, columns=columns, trim=False)
    if isinstance(found, raw_types.NotRaw):
        return NotHashed(why=found.why)
    if source.fetch(PROBE) != destination.fetch(PROBE):
        return NotHashed(why="the two servers hash a row differently")
    have = [column.native_type for column in describe_query(source, statement(query))]
    info = describe_table(destination, table)
    assert info is not None, "the raw plan has found it"
    want = [next(c.native_type for c in info.columns if c.name == column.dest_name) for column in columns]
    names = [f"q.c{position}" for position in range(len(columns))]
    return RowHashing(
        source=tuple(map(_source_column, names, have, want, found.casts)),
        destination=tuple(_destination_column(column, native) for column, native in zip(columns, want, strict=True)),
    )


def row_hash(terms: Sequence[str]) -> str:
    """Return an expression of type bigint that is equal for equal rows."""
    return f"hash_record_extended(ROW({', '.join(terms)}), 0)"


def _source_column(name: str, have: str, want: str, cast: str) -> HashedColumn:
    """Hash what a raw copy writes: the value after its cast, or, into text, the text that is sent."""
    if _base(want) in ("text", "character varying") and not cast:
        return HashedColumn(expression=name, term=_as_text(name, have))
    value = cast.format(name) if cast else name
    term = _term(value, want if cast else have)
    return HashedColumn(expression=name, term=term)


def _destination_column(column: Column, native: str) -> HashedColumn:
    name = f"q.{DIALECT.quote(column.dest_name)}"
    return HashedColumn(expression=name, term=_term(name, native))


def _term(expression: str, native: str) -> str:
    return expression if _base(native) in _BY_VALUE else _as_text(expression, native)


def _as_text(expression: str, native: str) -> str:
    # a cast of char(n) to text drops the blanks that the value has on the wire
    text = f"textin(bpcharout({expression}))" if _base(native) in _PADDED else f"({expression})::text"
    return f'{text} COLLATE "C"'


def _base(native: str) -> str:
    return re.sub(r"\(\d+(,-?\d+)?\)", "", native).strip()
