"""The shared row hash in PostgreSQL's SQL; see `connections.sdk.sql.row_hash` for its definition.

The items are concatenated by the output function of a record, which quotes none of them. They are computed from values
and not from text output, which depends on settings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

from connections.connectors.postgresql.dialect import DIALECT
from connections.connectors.postgresql.driver import PostgresqlSession
from connections.connectors.postgresql.hashing import avoid_sorts
from connections.connectors.postgresql.introspection import describe_query, describe_table
from connections.connectors.postgresql.shared_hash_items import hashed_column
from connections.sdk.errors import PipekitError
from connections.sdk.schema import Column, ColumnInfo, TableName
from connections.sdk.sql.final_semicolon import without_final_semicolon
from connections.sdk.sql.row_hash import HashedColumn, NotHashed

# trim_scale exists since version 13, client_connection_check_interval since 14
_SINCE = 140000
# a function has at most 100 arguments
_ARGUMENTS = 99
_PROBE = HashedColumn(expression="", term="octet_length('é €'::text)", text="'é €'::text")
_PROBED = "(6,,150,t)é €"


def source(
    session: PostgresqlSession, query: str, columns: Mapping[int, Column], *, signed_zero: bool
) -> tuple[HashedColumn, ...] | NotHashed:
    described = describe_query(session, without_final_semicolon(query))
    pairs = [(f"q.c{position}", described[position], column) for position, column in columns.items()]
    return _hashed(session, pairs, signed_zero=signed_zero)


def destination(
    session: PostgresqlSession, table: TableName, columns: Collection[Column]
) -> tuple[HashedColumn, ...] | NotHashed:
    table_info = describe_table(session, table)
    pairs = []
    for column in columns:
        info = table_info.column(column.dest_name) if table_info else None
        if info is None:
            return NotHashed(why=f"the table {table} no longer has the column “{column.dest_name}”")
        pairs.append((f"q.{DIALECT.quote(column.dest_name)}", info, column))
    return _hashed(session, pairs, signed_zero=True)


def row_hash(columns: Sequence[HashedColumn]) -> str:
    """Return an expression of type bigint: the upper 63 bits of the MD5 of the row's text."""
    parts = [f"ROW({', '.join(column.term for column in columns)})"]
    parts += [column.text for column in columns if column.text]
    # concat ignores NULL
    calls = [f"concat({', '.join(parts[first : first + _ARGUMENTS])})" for first in range(0, len(parts), _ARGUMENTS)]
    return f"('x' || left(md5({' || '.join(calls)}), 16))::bit(63)::bigint"


def _hashed(
    session: PostgresqlSession, pairs: Sequence[tuple[str, ColumnInfo, Column]], *, signed_zero: bool
) -> tuple[HashedColumn, ...] | NotHashed:
    hashed = []
    for expression, info, column in pairs:
        hashed_one = hashed_column(expression, info, column, signed_zero=signed_zero)
        if hashed_one is None:
            what = f"{info.native_type} in PostgreSQL"
            return NotHashed(why=f"column “{column.dest_name}” ({what}) has no form in which both sides can hash it")
        hashed.append(hashed_one)
    avoid_sorts(session)
    return _refusal(session) or tuple(hashed)


def _refusal(session: PostgresqlSession) -> NotHashed | None:
    """Return why this server cannot compute the shared hash; None if it can."""
    if session.server_version < _SINCE:
        return NotHashed(why="the server is older than PostgreSQL 14")
    encoding = session.fetch("SELECT current_setting('server_encoding')")[0][0]
    if encoding != "UTF8":
        return NotHashed(why=f"the server encodes text in {encoding}")
    terms = ("NULL::integer", "trim_scale(1.5 * 100)", "true")
    columns = [_PROBE, *(HashedColumn(expression="", term=term) for term in terms)]
    try:
        # a server with restricted cryptography refuses MD5
        computed = session.fetch(f"SELECT {row_hash(columns)}")[0][0]
    except PipekitError as error:
        return NotHashed(why=f"the server cannot hash a row: {error.message}")
    expected = int.from_bytes(hashlib.md5(_PROBED.encode(), usedforsecurity=False).digest()[:8], "big") >> 1
    return None if computed == expected else NotHashed(why="the server hashes a row differently")
