"""What a SQLite table or query looks like: declared types, and for expressions the types their first rows have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connections.connectors.sqlite.datatypes import parse
from connections.connectors.sqlite.dialect import DIALECT, whole_name
from connections.sdk.datatypes import DataType, Kind
from connections.sdk.errors import QueryInvalid
from connections.sdk.protocols import Session
from connections.sdk.query_text import statement
from connections.sdk.schema import ColumnInfo, TableInfo, TableName

_PROBE = "pipekit_probe"
_SAMPLE = 1000
_STORED = {"integer": Kind.BIGINT, "real": Kind.DOUBLE, "text": Kind.TEXT, "blob": Kind.BINARY}


def describe_query(session: Session, query: str) -> tuple[ColumnInfo, ...]:
    """Describe through a temporary view of this connection: nothing is written to the file.

    An expression has no declared type; it gets the one storage class its first rows share, or UNKNOWN.
    """
    query = statement(query)
    # the view alone would be accepted with tables that do not exist
    session.fetch(f"SELECT * FROM ({query}\n) LIMIT 0")
    session.execute(f"CREATE TEMP VIEW {_PROBE} AS {query}\n")
    try:
        rows = session.fetch(f"PRAGMA temp.table_info({_PROBE})")
        undeclared = [name for _, name, native, *_ in rows if not native]
        stored = _stored(session, undeclared)
    finally:
        session.execute(f"DROP VIEW IF EXISTS temp.{_PROBE}")
    if not rows:
        raise QueryInvalid("The query returns no columns.", hint="A source query is a SELECT.")
    return tuple(_column(name, native, stored) for _, name, native, *_ in rows)


def _stored(session: Session, names: Sequence[str]) -> dict[str, Kind]:
    if not names:
        return {}
    classes = ", ".join(f"group_concat(DISTINCT nullif(typeof({DIALECT.quote(name)}), 'null'))" for name in names)
    values: tuple[Any, ...] = session.fetch(f"SELECT {classes} FROM (SELECT * FROM temp.{_PROBE} LIMIT {_SAMPLE})")[0]
    return {name: _STORED[value] for name, value in zip(names, values, strict=True) if value in _STORED}


def _column(name: str, native: str, stored: dict[str, Kind]) -> ColumnInfo:
    if native:
        return ColumnInfo(name=name, native_type=native, data_type=parse(native))
    kind = stored.get(name, Kind.UNKNOWN)
    return ColumnInfo(name=name, native_type="", data_type=DataType(kind=kind), declared=False)


def describe_table(session: Session, table: TableName) -> TableInfo | None:
    name = whole_name(table)
    rows = session.fetch('SELECT name, type, "notnull", pk FROM pragma_table_info(?)', (name,))
    if not rows:
        return None
    primary = tuple(row[0] for row in sorted((r for r in rows if r[3]), key=lambda row: int(row[3])))
    indexes = session.fetch('SELECT name FROM pragma_index_list(?) WHERE "unique" AND NOT partial', (name,))
    keys = [
        tuple(row[0] for row in session.fetch("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (index,)))
        for (index,) in indexes
    ]
    return TableInfo(
        name=table,
        columns=tuple(
            ColumnInfo(name=column, native_type=native, data_type=parse(native), nullable=not notnull)
            for column, native, notnull, _ in rows
        ),
        primary_key=primary,
        unique_keys=tuple(dict.fromkeys(([primary] if primary else []) + [k for k in keys if None not in k])),
    )


def has_schema(session: Session, schema: str) -> bool:
    """Every schema is there, as a part of the table's name."""
    return True


def has_type(session: Session, native: str) -> bool:
    return False
