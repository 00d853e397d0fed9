"""Step two, stage: prepares the staging table, empty and with the destination's column types.

`pipekit_staging.{module}` remains after the run, for debugging; the next run empties it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from connections import registry
from connections.sdk.errors import DiskFull
from connections.sdk.protocols import Session
from connections.sdk.schema import Column, TableName
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.sql.types import DataType, Kind
from runs.engine.faults import point
from runs.engine.plan import Plan
from runs.engine.publish import commit_record, schemas

_SIZES = re.compile(r"\(([^)]*)\)")
# kinds whose types are the same only if their names are
_COMPARED_BY_NAME = frozenset({Kind.NATIVE, Kind.UNKNOWN, Kind.JSON})


def dialect_of(plan: Plan) -> PublishingDialect:
    return cast(PublishingDialect, registry.dialect_for(plan.destination))


def prepare(session: Session, plan: Plan, columns: Sequence[Column]) -> TableName:
    """Claim the staging table for this run and make it empty, with the given columns; return its name."""
    dialect = dialect_of(plan)
    create_control_tables(session, plan)
    commit_record.take_claim(session, dialect, plan)
    point("stage.claimed")
    table = dialect.staging_table(plan.module)
    make_empty(session, plan, table, columns)
    return table


def create_control_tables(session: Session, plan: Plan) -> None:
    """Create the tables of commit records and claims if they are missing; safe for concurrent first runs."""
    dialect, describe = dialect_of(plan), registry.connector(plan.destination.kind).introspector.describe_table
    definitions = commit_record.definitions(dialect)
    if all(describe(session, table) for table, _ in definitions):
        return
    schemas.create_missing(session, plan, dialect.staging_schema)
    with session.transaction():
        for sql in dialect.begin_publish(definitions[0][0], lock_seconds=plan.lock_seconds):
            session.execute(sql)
        for table, sql in definitions:
            if describe(session, table) is None:
                session.execute(sql)


def make_empty(session: Session, plan: Plan, table: TableName, columns: Sequence[Column]) -> None:
    """Empty the table; drop and create it if it does not have these columns."""
    try:
        _empty(session, plan, table, columns)
    except DiskFull:
        # emptying may need space before it frees any, while dropping frees what an earlier run left
        session.execute(dialect_of(plan).drop_table(table))
        _empty(session, plan, table, columns)


def _empty(session: Session, plan: Plan, table: TableName, columns: Sequence[Column]) -> None:
    dialect = dialect_of(plan)
    with session.transaction():
        if _has_shape(session, plan, table, columns):
            session.execute(dialect.empty_table(table))
        else:
            session.execute(dialect.drop_table(table))
            pairs = [(column.dest_name, column.dest_type) for column in columns]
            collations = {column.dest_name: column.collation for column in columns if column.collation}
            session.execute(dialect.create_table(table, pairs, scratch=True, collations=collations))


def _has_shape(session: Session, plan: Plan, table: TableName, columns: Sequence[Column]) -> bool:
    connector = registry.connector(plan.destination.kind)
    existing = connector.introspector.describe_table(session, table)
    if existing is None:
        return False
    parse = connector.datatypes.parse
    return [(info.name, info.collation) for info in existing.columns] == [
        (column.dest_name, column.collation) for column in columns
    ] and all(
        same_type(info.native_type, column.dest_type, parse)
        for info, column in zip(existing.columns, columns, strict=True)
    )


def same_type(one: str, other: str, parse: Callable[[str], DataType]) -> bool:
    """Return whether two names mean the same type and size, such as timestamp and timestamp without time zone."""
    if one == other:
        return True
    first, second = (replace(parse(text), native="") for text in (one, other))
    return first == second and first.kind not in _COMPARED_BY_NAME and _SIZES.findall(one) == _SIZES.findall(other)
