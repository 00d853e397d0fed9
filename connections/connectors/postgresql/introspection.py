"""Introspection of PostgreSQL tables and queries by the catalogue. Reads no rows."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg import generators, pq

from connections.connectors.postgresql.datatypes import parse
from connections.connectors.postgresql.dialect import schema_of_table
from connections.connectors.postgresql.driver import PostgresqlSession
from connections.connectors.postgresql.errors.statement import from_psycopg
from connections.sdk.errors import PipekitError, QueryInvalid
from connections.sdk.protocols import Session
from connections.sdk.schema import ALL_CHANGES, ColumnInfo, TableInfo, TableName, bare_name
from connections.sdk.sql.foreign_keys import ForeignKey
from connections.sdk.types import DataType, Kind

_QUERIES = Path(__file__).with_name("queries")
_KINDS = {"r": "table", "p": "partitioned table", "v": "view", "m": "materialized view", "f": "foreign table"}
_OCCUPANTS = {"S": "sequence", "i": "index", "I": "index", "c": "type", "t": "TOAST table", "y": "type"}
_ON_DELETE = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_IDENTITIES = {"a": "always", "d": "by default"}
# maximum number of similar names returned
_MAX_SIMILAR = 5
# bits of pg_relation_is_updatable
_UPDATABLE = {"update": 4, "insert": 8, "delete": 16}


def _query(name: str) -> str:
    return (_QUERIES / f"{name}.sql").read_text()


def describe_query(session: Session, query: str) -> tuple[ColumnInfo, ...]:
    """Return the result columns of a prepared statement, which is described but not executed."""
    connection = cast(PostgresqlSession, session).connection
    connection.pgconn.send_prepare(b"", query.encode())
    result = _result(connection)
    if result.status == pq.ExecStatus.COMMAND_OK:
        connection.pgconn.send_describe_prepared(b"")
        result = _result(connection)
    if result.status != pq.ExecStatus.COMMAND_OK:
        state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
        error_class = psycopg.errors.lookup(state) if state else psycopg.OperationalError
        name = cast(PostgresqlSession, session).name
        raise from_psycopg(error_class(result.get_error_message(), info=result), name=name)
    if not result.nfields:
        raise QueryInvalid("The query returns no columns.", hint="A source query is a SELECT.")
    positions = range(result.nfields)
    types = session.fetch(
        _query("describe_types"), ([result.ftype(i) for i in positions], [result.fmod(i) for i in positions])
    )
    names = [(result.fname(i) or b"").decode() for i in positions]
    return tuple(_column(name, *row[:4]) for name, row in zip(names, types, strict=True))


def estimated_rows(session: Session, query: str) -> int:
    """Return the number of rows that the planner expects; 0 if it does not plan the query, such as SHOW."""
    with suppress(PipekitError):
        plan = session.fetch(f"EXPLAIN (FORMAT JSON)\n{query}")[0][0]
        return int(plan[0]["Plan"]["Plan Rows"])
    return 0


def _result(connection: psycopg.Connection[Any]) -> pq.abc.PGresult:
    # not with libpq's blocking functions, which hold the GIL: heartbeat and cancellation would have to wait
    results = connection.wait(generators.execute(connection.pgconn))
    return cast(pq.abc.PGresult, results[-1])


def _column(name: str, native: str, typtype: str, base: str | None, built_in: bool) -> ColumnInfo:
    if typtype == "d" and base:
        # a domain is transferred as its base type, which holds the same values
        return ColumnInfo(name=name, native_type=base, data_type=parse(base))
    if not built_in or typtype in ("e", "c"):
        return ColumnInfo(name=name, native_type=native, data_type=DataType(kind=Kind.NATIVE, native=native))
    return ColumnInfo(name=name, native_type=native, data_type=parse(native))


def in_catalogue(session: Session, table: TableName) -> tuple[str, str]:
    """Return schema and name of the table that the server means; the schema is empty if it would refuse the name."""
    if table.schema:
        return table.schema, table.table
    schema = session.fetch(f"SELECT {schema_of_table('%s')}", (table.table,))[0][0]
    return schema or "", table.table


def describe_table(session: Session, table: TableName) -> TableInfo | None:
    name = in_catalogue(session, table)
    rows = session.fetch(_query("describe_table"), name)
    if not rows:
        return None
    keys = session.fetch(_query("unique_keys"), name)
    unlogged, kind, may_fill, updatable = rows[0][-4:]
    return TableInfo(
        name=TableName(*name),
        columns=tuple(
            replace(
                _column(name, native, typtype, base, True),
                nullable=nullable,
                generated=bool(generated),
                identity=_IDENTITIES.get(identity, ""),
                default=default,
                collation=collation,
            )
            for name, native, nullable, typtype, base, _, identity, generated, default, collation, *_ in rows
        ),
        primary_key=next((tuple(columns) for primary, columns, _ in keys if primary), ()),
        unique_keys=tuple(tuple(columns) for _, columns, _ in keys),
        collated_keys=tuple(tuple(zip(columns, names, strict=True)) for _, columns, names in keys if any(names)),
        kind=_KINDS[kind],
        accepts=_accepted(kind, updatable),
        may_fill=may_fill,
        unlogged=unlogged,
    )


def _accepted(kind: str, updatable: int | None) -> frozenset[str]:
    if kind == "m":
        return frozenset()
    if updatable is None:
        return ALL_CHANGES
    accepted = {statement for statement, bit in _UPDATABLE.items() if updatable & bit}
    # whether a foreign table can be truncated is not in the catalogue
    return frozenset(accepted | {"truncate"} if kind == "f" else accepted)


def foreign_keys(session: Session, table: TableName) -> tuple[ForeignKey, ...]:
    rows = session.fetch(_query("foreign_keys"), in_catalogue(session, table))
    return tuple(
        ForeignKey(
            constraint=name,
            table=TableName(schema, referencing),
            columns=tuple(columns),
            referenced=TableName(referenced_schema, referenced),
            references=tuple(references),
            on_delete=_ON_DELETE[action],
            own=own,
            readable=readable,
            below_view=below_view,
        )
        for (name, schema, referencing, columns, referenced_schema, referenced, references, *rest) in rows
        for (action, own, readable, below_view) in [rest]
    )


def conflicting_object(session: Session, table: TableName) -> str:
    rows = session.fetch(_query("conflicting_object"), in_catalogue(session, table) * 2)
    return _OCCUPANTS.get(rows[0][0], "object") if rows else ""


def similar_tables(session: Session, table: TableName) -> tuple[TableName, ...]:
    own = in_catalogue(session, table)
    bare = tuple(map(bare_name, own))
    rows = session.fetch(_query("similar_tables"), bare)
    similar = [TableName(*row) for row in rows if row != own and tuple(map(bare_name, row)) == bare]
    return tuple(similar[:_MAX_SIMILAR])


def similar_schemas(session: Session, schema: str) -> tuple[str, ...]:
    bare = bare_name(schema)
    rows = session.fetch(_query("similar_schemas"), (bare, schema))
    return tuple([name for (name,) in rows if bare_name(name) == bare][:_MAX_SIMILAR])


def may_change_written_rows(session: Session, table: TableName) -> bool:
    return bool(session.fetch(_query("may_change_written_rows"), in_catalogue(session, table))[0][0])


def has_schema(session: Session, schema: str) -> bool:
    return bool(session.fetch("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)))


def has_type(session: Session, native: str) -> bool:
    """Return whether the database has a type of this name, such as an enum or a type of an extension."""
    return session.fetch("SELECT to_regtype(%s) IS NOT NULL", (native,)) == [(True,)]
