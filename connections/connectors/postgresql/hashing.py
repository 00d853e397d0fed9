"""Row hashes to compare tables of two PostgreSQL servers, for rows that a raw copy moves.

The hash is that of the text of the row as a record. Different values of a type have different text, and the settings in
driver.SESSION make it the same on both servers. `hash_record_extended` would be faster, but has collisions: numbers of
either sign, and 64-bit integers and times whose halves cancel out. It is also linear in the columns, so that a sum over
rows does not change when two rows exchange values. `PROBE` tests whether two servers agree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from connections.connectors.postgresql.copy import described_types, raw_types
from connections.connectors.postgresql.dialect import DIALECT
from connections.connectors.postgresql.driver import PostgresqlSession
from connections.sdk.raw_copy import NotRaw
from connections.sdk.schema import Column, TableName
from connections.sdk.sql.row_hash import HashedColumn, NotHashed, RowHashing

_SINCE = 140000
_PADDED = frozenset({"character", "bpchar"})
# includes the encoding, because the bytes of the server encoding are hashed
PROBE = (
    "SELECT current_setting('server_encoding'),"
    """ hashtextextended(ROW(1, 4.50, true, 'é'::text, NULL, DATE '2026-01-31')::text COLLATE "C", 0)"""
)


def plan(
    source: PostgresqlSession,
    query: str,
    *,
    destination: PostgresqlSession,
    table: TableName,
    columns: Sequence[Column],
) -> RowHashing | NotHashed:
    """Return the SQL with which both servers hash the module's rows, or why they cannot compute the same hashes."""
    if min(source.server_version, destination.server_version) < _SINCE:
        return NotHashed(why="a server is older than PostgreSQL 14")
    have = described_types.types_of_query(source, query, columns)
    want = described_types.types_of_table(destination, table, columns)
    raw_plan = raw_types.compare(have, want, columns, trim=False)
    if isinstance(raw_plan, NotRaw):
        return NotHashed(why=raw_plan.why)
    if source.fetch(PROBE) != destination.fetch(PROBE):
        return NotHashed(why="the two servers hash a row differently, or encode text differently")
    names = [f"q.c{position}" for position in range(len(columns))]
    for session in (source, destination):
        avoid_sorts(session)
    return RowHashing(
        source=tuple(map(_source_column, names, have.natives, want.natives, raw_plan.casts)),
        destination=tuple(map(_destination_column, columns, want.natives)),
    )


def avoid_sorts(session: PostgresqlSession) -> None:
    """Make the session group rows by hashing: the planner overestimates the groups, and would sort all rows on disk."""
    session.execute("SET enable_sort = off")


def row_hash(columns: Sequence[HashedColumn]) -> str:
    """Return an expression of type bigint that is equal for equal rows."""
    return f'hashtextextended(ROW({", ".join(column.term for column in columns)})::text COLLATE "C", 0)'


def _source_column(name: str, have: str, want: str, cast: str) -> HashedColumn:
    """Return the hash of what a raw copy writes: the value after the cast, or for a text column the text sent."""
    if _base(want) in ("text", "character varying") and not cast:
        return HashedColumn(expression=name, term=_as_text(name, have))
    value = cast.format(name) if cast else name
    term = _term(value, want if cast else have)
    return HashedColumn(expression=name, term=term)


def _destination_column(column: Column, native: str) -> HashedColumn:
    name = f"q.{DIALECT.quote(column.dest_name)}"
    return HashedColumn(expression=name, term=_term(name, native))


def _term(expression: str, native: str) -> str:
    # numbers with different scales are equal: 1.0 and 1.00
    return f"trim_scale({expression})" if _base(native) == "numeric" else expression


def _as_text(expression: str, native: str) -> str:
    return padded_text(expression) if is_padded(native) else f"({expression})::text"


def is_padded(native: str) -> bool:
    """Return whether the type is char(n), whose values are padded with blanks."""
    return _base(native) in _PADDED


def padded_text(expression: str) -> str:
    """Return the SQL for the text of a char(n) as COPY sends it; a cast to text would drop the padding blanks."""
    return f"textin(bpcharout({expression}))"


def _base(native: str) -> str:
    return re.sub(r"\(\d+(,-?\d+)?\)", "", native).strip()
