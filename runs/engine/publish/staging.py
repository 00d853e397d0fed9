"""Step two, stage: an empty table beside the destination, of the shape that the rows will have there.

`pipekit_staging.{module}` is left in place after the run, for debugging, and never carried over into the next.
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
# kinds whose types are the same only when they are spelled the same
_OWN = frozenset({Kind.NATIVE, Kind.UNKNOWN, Kind.JSON})


def dialect_of(plan: Plan) -> PublishingDialect:
    return cast(PublishingDialect, registry.dialect_for(plan.destination))


def prepare(session: Session, plan: Plan, columns: Sequence[Column]) -> TableName:
    """Claim staging for this run and leave it empty and rightly shaped; return its name."""
    dialect = dialect_of(plan)
    create_control_tables(session, plan)
    commit_record.claim(session, dialect, plan)
    point("stage.claimed")
    table = dialect.staging_table(plan.module)
    make_empty(session, plan, table, columns)
    return table


def create_control_tables(session: Session, plan: Plan) -> None:
    """Create commit records and claims when missing; two runs that come first together both find them."""
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
    """Empty the table; recreate it when its shape is not the columns'."""
    try:
        _empty(session, plan, table, columns)
    except DiskFull:
        # emptying takes room before it gives any back, and an earlier run's staging may be what fills the disk
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
    found = connector.introspector.describe_table(session, table)
    if found is None:
        return False
    parse = connector.datatypes.parse
    return [(info.name, info.collation) for info in found.columns] == [
        (column.dest_name, column.collation) for column in columns
    ] and all(
        same_type(info.native_type, column.dest_type, parse)
        for info, column in zip(found.columns, columns, strict=True)
    )


def same_type(one: str, other: str, parse: Callable[[str], DataType]) -> bool:
    """Whether two spellings mean one type (timestamp, timestamp without time zone), their sizes included."""
    if one == other:
        return True
    first, second = (replace(parse(text), native="") for text in (one, other))
    return first == second and first.kind not in _OWN and _SIZES.findall(one) == _SIZES.findall(other)
