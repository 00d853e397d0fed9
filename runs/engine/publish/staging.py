"""Step two, stage: prepares the staging table, empty and with the destination's column types.

`pipekit_staging.{module}` remains after the run, for debugging; the next run empties it. If it is to take the place of
the destination table, it is its twin, or for a new table what that will be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field, replace

from connections.sdk.errors import ConfigurationError, DiskFull, TableMissing
from connections.sdk.records import dataclass
from connections.sdk.schema import Column, TableInfo, TableName
from connections.sdk.types import DataType, Kind
from runs.engine import control_tables
from runs.engine.destination import Destination
from runs.engine.faults import point
from runs.engine.publish import exchange_record
from runs.engine.publish.background_drop import set_aside
from runs.engine.publish.method import ChosenMethod, PublishMethod, beside, exchange_of, without_exchange
from runs.engine.watermarks.bounds import Bound

_SIZES = re.compile(r"\(([^)]*)\)")
# kinds whose types are the same only if their names are
_COMPARED_BY_NAME = frozenset({Kind.NATIVE, Kind.UNKNOWN, Kind.JSON})


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedRows:
    """Rows in the staging table: their columns, and how many jrunner wrote."""

    columns: tuple[Column, ...]
    rows: int
    # the staging table, if it is not the module's usual one
    table: TableName | None = None
    # the kind of the destination table when the rows were staged, empty if there was none
    table_kind: str = ""
    method: ChosenMethod = field(default_factory=lambda: ChosenMethod(method=PublishMethod.MERGE))
    # the statements that created the table, if it is to take the place of the destination table
    created: tuple[str, ...] = ()
    # the watermark above which they were read
    bound: Bound | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The staging table before the transfer.

    ``method`` is another one than was chosen if no twin of the destination table can be created. ``typed`` tells
    whether the table has exactly the types of the columns (see `make_empty`).
    """

    method: ChosenMethod
    typed: bool
    # the statements that created the table for an exchange
    created: tuple[str, ...] = ()
    # the table that was in its place, if it is still to be dropped
    former: TableName | None = None


def claim(dest: Destination) -> None:
    """Claim the module's staging table for this run."""
    create_control_tables(dest)
    control_tables.take_claim(dest.session, dest.dialect, dest.plan)
    point("stage.claimed")


@contextmanager
def holding_claim(dest: Destination) -> Iterator[None]:
    """Execute the block in a transaction during which no other run can claim staging. Raises Overtaken if one has."""
    with dest.session.transaction():
        control_tables.hold_claim(dest.session, dest.dialect, dest.plan)
        yield


def prepare(dest: Destination, columns: Sequence[Column], table: TableInfo | None, method: ChosenMethod) -> Prepared:
    """Make the module's staging table empty, with the given columns, or create it anew for an exchange.

    A table for an exchange then is ``dest.staging``.
    """
    with holding_claim(dest):
        drop_left_beside(dest)
        former = set_aside(dest)
    if method.exchanges:
        try:
            created = _create(dest, columns, table)
            return Prepared(method=method, created=created, typed=_has_types(table, columns), former=former)
        except ConfigurationError as error:
            if table is None:
                raise
            reason = f"no table like it could be created: {error.message}"
            method = without_exchange(dest, table, (reason,))
    if exchange_of(dest) is not None and exchange_record.find(dest):
        # a twin or former table, whose constraints staged rows need not satisfy
        with holding_claim(dest):
            dest.session.execute(dest.dialect.drop_table(dest.staging))
            exchange_record.delete(dest)
    return Prepared(method=method, typed=make_empty(dest, dest.staging, columns), former=former)


def _create(dest: Destination, columns: Sequence[Column], table: TableInfo | None) -> tuple[str, ...]:
    """Create the staging table as the new table, or as the twin of the existing one; return the statements."""
    exchange, staging = exchange_of(dest), beside(dest)
    assert exchange is not None
    if table is None:
        pairs = [(column.dest_name, column.dest_type) for column in columns]
        statements: tuple[str, ...] = (dest.dialect.create_table(staging, pairs),)
    else:
        statements = exchange.create(dest.session, dest.table, staging)
    # what earlier runs left; its disk space is free before rows are copied
    with holding_claim(dest):
        dest.session.execute(dest.dialect.drop_table(dest.staging))
    with holding_claim(dest):
        # it has columns that the run does not fill
        exchange_record.write(dest, columns=[column.dest_name for column in columns])
        for sql in statements:
            dest.session.execute(sql)
    dest.staging = staging
    return statements


def create_schema_beside(dest: Destination, method: ChosenMethod) -> str:
    """Create the schema of a new table if rows are staged in it; return the executed statement, or an empty string."""
    is_elsewhere = method.exchanges and beside(dest).schema != dest.staging.schema
    return dest.create_schema(beside(dest).schema) if is_elsewhere else ""


def drop_left_beside(dest: Destination) -> None:
    """Drop the tables that runs have left in the schemas of destination tables, to take their places."""
    exchange = exchange_of(dest)
    for table in exchange.left_beside(dest.session, dest.dialect.staging_table(dest.plan.module)) if exchange else ():
        dest.session.execute(dest.dialect.drop_table(table))


def _has_types(table: TableInfo | None, columns: Sequence[Column]) -> bool:
    infos = [table.column(column.dest_name) for column in columns] if table else []
    return all(info and info.native_type == column.dest_type for info, column in zip(infos, columns, strict=False))


def create_control_tables(dest: Destination) -> None:
    """Create the control tables that are missing; safe for concurrent first runs."""
    definitions = control_tables.definitions(dest.dialect, exchanges=exchange_of(dest) is not None)
    if _exist(dest, [table for table, _ in definitions]):
        return
    dest.create_schema(dest.dialect.staging_schema)
    with dest.session.transaction():
        dest.begin(definitions[0][0])
        for table, sql in definitions:
            if dest.describe(table) is None:
                dest.session.execute(sql)


def _exist(dest: Destination, tables: Sequence[TableName]) -> bool:
    """Return whether all tables exist, which takes less time than describing them."""
    try:
        dest.session.fetch(f"SELECT 1 FROM {', '.join(map(dest.dialect.qualified, tables))} WHERE 1 = 0")
    except TableMissing:
        return False
    return True


def make_empty(dest: Destination, table: TableName, columns: Sequence[Column]) -> bool:
    """Empty the table; drop and create it if it does not have these columns.

    Return whether the table has exactly the types of the columns; otherwise one has another name of the same type.
    """
    try:
        return _empty(dest, table, columns)
    except DiskFull:
        # emptying may need space before it frees any, while dropping frees what an earlier run left
        dest.session.execute(dest.dialect.drop_table(table))
        return _empty(dest, table, columns)


def _empty(dest: Destination, table: TableName, columns: Sequence[Column]) -> bool:
    session, dialect = dest.session, dest.dialect
    with session.transaction():
        existing = dest.describe(table)
        # a former table is logged, and has indexes and constraints
        may_remain = existing is not None and existing.unlogged == dest.dialect.has_unlogged
        if existing is not None and may_remain and _has_shape(dest, existing, columns):
            session.execute(dialect.empty_table(table))
            return [info.native_type for info in existing.columns] == [column.dest_type for column in columns]
        session.execute(dialect.drop_table(table))
        pairs = [(column.dest_name, column.dest_type) for column in columns]
        collations = {column.dest_name: column.collation for column in columns if column.collation}
        session.execute(dialect.create_table(table, pairs, scratch=True, collations=collations))
        return True


def _has_shape(dest: Destination, existing: TableInfo, columns: Sequence[Column]) -> bool:
    return [(info.name, info.collation) for info in existing.columns] == [
        (column.dest_name, column.collation) for column in columns
    ] and all(
        same_type(info.native_type, column.dest_type, dest.datatypes.parse)
        for info, column in zip(existing.columns, columns, strict=True)
    )


def same_type(one: str, other: str, parse: Callable[[str], DataType]) -> bool:
    """Return whether two names mean the same type and size, such as timestamp and timestamp without time zone."""
    if one == other:
        return True
    first, second = (replace(parse(text), native="") for text in (one, other))
    return first == second and first.kind not in _COMPARED_BY_NAME and _SIZES.findall(one) == _SIZES.findall(other)
