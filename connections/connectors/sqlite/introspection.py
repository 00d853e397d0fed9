"""Introspection of SQLite: declared types, and for expressions the storage class of their first rows."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from connections.connectors.sqlite.datatypes import parse
from connections.connectors.sqlite.dialect import DIALECT, whole_name
from connections.sdk.errors import ColumnMissing, PipekitError, QueryInvalid, TableMissing
from connections.sdk.protocols import Session
from connections.sdk.schema import ALL_CHANGES, ColumnInfo, TableInfo, TableName, bare_name
from connections.sdk.sql.final_semicolon import without_final_semicolon
from connections.sdk.sql.foreign_keys import ForeignKey
from connections.sdk.types import DataType, Kind

_PROBE = "pipekit_probe"
# rows from which the storage class of an expression is inferred
_SAMPLE = 1000
_UNKNOWN_COLLATION = re.compile(r"no such collation sequence: (.+)$")
_ANY = "ANY"
_STORED = {"integer": Kind.BIGINT, "real": Kind.DOUBLE, "text": Kind.TEXT, "blob": Kind.BINARY}


def describe_query(session: Session, query: str) -> tuple[ColumnInfo, ...]:
    """Describe the query by a temporary view, so that nothing is written to the file.

    An expression has no declared type: it gets the storage class that its first rows have in common, or UNKNOWN.
    """
    query = without_final_semicolon(query)
    try:
        # CREATE VIEW does not check that the tables exist
        session.fetch(f"SELECT * FROM ({query}\n) LIMIT 0")
    except (ColumnMissing, TableMissing) as error:
        # imported late: needed only for such an error
        from connections.connectors.sqlite import missing_names

        missing_names.add_names(error, session, query)
        raise
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
    if not (rows := _column_rows(session, name)):
        return None
    collations = _collations(session, table, [row[0] for row in rows])
    primary = tuple(row[0] for row in sorted((r for r in rows if r[3]), key=lambda row: int(row[3])))
    indexes = session.fetch('SELECT name, origin FROM pragma_index_list(?) WHERE "unique" AND NOT partial', (name,))
    # a primary key without an index is the rowid
    is_rowid = len(primary) == 1 and not any(origin == "pk" for _, origin in indexes)
    keys = [pairs for index, _ in indexes if (pairs := _index(session, index))]
    # ON CONFLICT (columns) uses only an index with the collations of its columns
    usable = [tuple(column for column, _ in pairs) for pairs in keys if _has_column_collations(pairs, collations)]
    kind = _kind(session, name)
    return TableInfo(
        name=table,
        # INTEGER PRIMARY KEY is the rowid
        columns=tuple(_table_column(row, collations, identity=is_rowid and row[0] in primary) for row in rows),
        primary_key=primary,
        unique_keys=tuple(dict.fromkeys(([primary] if is_rowid or primary in usable else []) + usable)),
        collated_keys=tuple(
            # a collation of the column takes precedence over that of the index
            tuple((column, collations.get(column, "") or collation) for column, collation in pairs)
            for pairs in keys
            if not _has_column_collations(pairs, collations)
        ),
        autonumbered=primary if is_rowid else (),
        kind=kind,
        # rows written by a view's INSTEAD OF triggers are not counted, so their number cannot be checked
        accepts=frozenset() if kind == "view" else ALL_CHANGES - {"truncate"},
        may_fill=kind == "view" or _has_insert_triggers(session, name),
    )


def _column_rows(session: Session, name: str) -> list[tuple[Any, ...]]:
    """Return name, type, NOT NULL, position in the primary key, default and kind of generation of each column."""
    # generated columns are hidden (2 virtual, 3 stored), as are the inner columns of virtual tables (1)
    rows = session.fetch(
        'SELECT name, type, "notnull", pk, dflt_value, hidden FROM pragma_table_xinfo(?) WHERE hidden <> 1', (name,)
    )
    if any(row[1].upper() == _ANY for row in rows) and _is_strict(session, name):
        # ANY in a STRICT table has no affinity, as a column without type in other tables
        return [(row[0], "" if row[1].upper() == _ANY else row[1], *row[2:]) for row in rows]
    return list(rows)


def _table_column(row: tuple[Any, ...], collations: dict[str, str], *, identity: bool) -> ColumnInfo:
    column, native, notnull, _, default, hidden = row
    return ColumnInfo(
        name=column,
        native_type=native,
        data_type=parse(native),
        nullable=not notnull,
        generated=bool(hidden),
        identity="by default" if identity else "",
        default=default or "",
        collation=collations.get(column, ""),
    )


def _index(session: Session, index: str) -> tuple[tuple[str, str], ...]:
    """Return the columns of an index with their collations ("" for BINARY); empty for an index on an expression."""
    rows = session.fetch('SELECT name, coll FROM pragma_index_xinfo(?) WHERE "key" ORDER BY seqno', (index,))
    if any(name is None for name, _ in rows):
        return ()
    return tuple((name, "" if collation.upper() == "BINARY" else collation.upper()) for name, collation in rows)


def _has_column_collations(pairs: tuple[tuple[str, str], ...], collations: dict[str, str]) -> bool:
    return all(collations.get(column, "") == collation for column, collation in pairs)


def _collations(session: Session, table: TableName, columns: Sequence[str]) -> dict[str, str]:
    """Return the collation of each column whose collation is not BINARY.

    No PRAGMA reports it, so each column is compared with texts that are equal under other collations. No row is read.
    """
    definition = session.fetch("SELECT type, sql FROM sqlite_master WHERE lower(name) = lower(?)", (whole_name(table),))
    if not any(kind == "view" or "collate" in (sql or "").lower() for kind, sql in definition):
        return {}
    collations = {column: _collation(session, table, column) for column in columns}
    return {column: collation for column, collation in collations.items() if collation}


def _collation(session: Session, table: TableName, column: str) -> str:
    no_rows = f"SELECT {DIALECT.quote(column)} FROM {DIALECT.qualified(table)} WHERE 0"
    texts = {"NOCASE": "A", "RTRIM": "a "}
    # a compound SELECT compares by the collation of its first part
    counts = ", ".join(
        f"(SELECT count(*) FROM ({no_rows} UNION SELECT 'a' UNION SELECT '{t}'))" for t in texts.values()
    )
    try:
        row = session.fetch(f"SELECT {counts}")[0]
    except PipekitError as error:
        # a collation that is defined by another program
        unknown = _UNKNOWN_COLLATION.search(error.message)
        return unknown[1] if unknown else ""
    return next((name for name, count in zip(texts, row, strict=True) if count == 1), "")


def may_change_written_rows(session: Session, table: TableName) -> bool:
    """Return whether it is a view, has triggers, or has constraints with ON CONFLICT IGNORE or REPLACE."""
    return bool(
        session.fetch(
            "SELECT 1 FROM sqlite_master WHERE lower(tbl_name) = lower(?) "
            "AND (type IN ('trigger', 'view') OR sql LIKE '%conflict%') LIMIT 1",
            (whole_name(table),),
        )
    )


def _is_strict(session: Session, name: str) -> bool:
    sql = "SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND strict AND name = ? COLLATE NOCASE"
    # SQLite before 3.37 has neither STRICT tables nor pragma_table_list
    with contextlib.suppress(PipekitError):
        return bool(session.fetch(sql, (name,)))
    return False


def _kind(session: Session, name: str) -> str:
    rows = session.fetch("SELECT type FROM sqlite_schema WHERE name = ? COLLATE NOCASE", (name,))
    return str(rows[0][0]) if rows else "table"


def _has_insert_triggers(session: Session, name: str) -> bool:
    sql = "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE"
    return any("INSERT" in (text or "").upper() for (text,) in session.fetch(sql, (name,)))


def foreign_keys(session: Session, table: TableName) -> tuple[ForeignKey, ...]:
    """Return the declared foreign keys. The sessions of this driver do not enforce them."""
    name = whole_name(table)
    rows = session.fetch(
        'SELECT m.name, k.id, k."from", k."to", k.on_delete FROM sqlite_schema m, pragma_foreign_key_list(m.name) k '
        "WHERE m.type = 'table' AND m.sql LIKE '%references%' AND lower(k.\"table\") = lower(?) "
        "ORDER BY m.name, k.id, k.seq",
        (name,),
    )
    columns = session.fetch("SELECT name, pk FROM pragma_table_info(?)", (name,))
    primary = [column for column, place in sorted(columns, key=lambda row: int(row[1])) if place]
    names = {column.lower() for column, _ in columns}
    keys = []
    for (child, _), group in groupby(rows, key=lambda row: (row[0], row[1])):
        parts = list(group)
        here = tuple(part[2] for part in parts)
        # a foreign key without column names references the primary key
        there = tuple(part[3] for part in parts) if parts[0][3] else tuple(primary)
        # SQLite accepts declarations that do not match the referenced table; they have no effect
        if len(here) == len(there) and all(column.lower() in names for column in there):
            keys.append(
                ForeignKey(
                    constraint="",
                    table=_as_table(child),
                    columns=here,
                    referenced=table,
                    references=there,
                    on_delete=parts[0][4],
                    own=child.lower() == name.lower(),
                    enforced=False,
                )
            )
    return tuple(keys)


def _as_table(name: str) -> TableName:
    return TableName(*name.split(".", 1)) if "." in name else TableName("", name)


def conflicting_object(session: Session, table: TableName) -> str:
    rows = session.fetch(
        "SELECT type FROM sqlite_schema WHERE name = ? COLLATE NOCASE AND type NOT IN ('table', 'view', 'trigger')",
        (whole_name(table),),
    )
    return str(rows[0][0]) if rows else ""


def similar_tables(session: Session, table: TableName) -> tuple[TableName, ...]:
    name = whole_name(table)
    rows = session.fetch("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY 1")
    similar = [other for (other,) in rows if _bare_parts(other) == _bare_parts(name) and other != name]
    return tuple(map(_as_table, similar))


def _bare_parts(name: str) -> list[str]:
    return [bare_name(part) for part in name.split(".", 1)]


def similar_schemas(session: Session, schema: str) -> tuple[str, ...]:
    return ()


def has_schema(session: Session, schema: str) -> bool:
    """Return True: a schema is only a part of the table's name."""
    return True


def has_type(session: Session, native: str) -> bool:
    return False
