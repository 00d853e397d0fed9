"""The publish by exchange: the staging table, which is ready before the transaction, takes the place of the table.

Inside the transaction nothing is copied. The table is locked, and compared with its twin once more; if something has
come to depend on it or was changed since, the rows are copied as without an exchange.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from connections.sdk.errors import ConfigurationError, InvalidValue
from connections.sdk.schema import Column, TableInfo
from runs.engine.destination import Destination
from runs.engine.faults import point
from runs.engine.plan import FullPublish
from runs.engine.publish import exchange_record
from runs.engine.publish.checks import check_complete, check_keys, explain_duplicates, keep_latest
from runs.engine.publish.destination_shape import DestinationChanged
from runs.engine.publish.method import (
    ChosenMethod,
    PublishMethod,
    beside,
    exchange_of,
    former_tables_of,
    not_exchanged,
    without_exchange,
)
from runs.engine.publish.staging import StagedRows, holding_claim
from runs.engine.publish.statements import create_indexes


class ExchangeFailed(ConfigurationError):
    """A statement of the exchange failed, for example by an event trigger; the transaction is rolled back."""


def complete(dest: Destination, staged: StagedRows) -> tuple[StagedRows, tuple[str, ...]]:
    """Give the filled staging table everything that the table in its place has.

    Return the rows that it then has, fewer than before with keep_latest, and the statements. Raises DuplicateKeys if
    the key of a new table is not unique, InvalidValue for rows that violate a constraint.
    """
    exchange = exchange_of(dest)
    assert exchange is not None
    if staged.table_kind:
        statements = exchange.complete(dest.session, dest.table, dest.staging)
        for sql in statements:
            _execute(dest, sql)
        return staged, statements
    return _complete_new(dest, staged)


def _complete_new(dest: Destination, staged: StagedRows) -> tuple[StagedRows, tuple[str, ...]]:
    plan, indexes = dest.plan, create_indexes(dest, dest.staging)
    analyze, pending = dest.dialect.analyze(dest.staging), list(indexes)
    if not plan.strategy.traits.needs_key:
        pass
    elif plan.supports_deletes and dest.dialect.unique_includes_null(dest.session.server_version):
        # the unique index finds duplicates without sorting the keys once more
        staged = _create_key(dest, staged, pending.pop(0))
    else:
        with holding_claim(dest):
            check_complete(dest, staged)
            check_keys(dest, staged)
            staged = replace(staged, rows=dest.count(dest.staging))
    for sql in filter(None, (*pending, analyze)):
        _execute(dest, sql)
    return staged, tuple(filter(None, (*indexes, analyze)))


def _create_key(dest: Destination, staged: StagedRows, sql: str) -> StagedRows:
    try:
        _execute(dest, sql)
    except InvalidValue:
        if not (dest.plan.keep_latest and dest.plan.watermark):
            explain_duplicates(dest)
            raise
    else:
        return staged
    with holding_claim(dest):
        check_complete(dest, staged)
        staged = replace(staged, rows=keep_latest(dest, staged))
        dest.session.execute(sql)
    return staged


def problems(dest: Destination, staged: StagedRows, table: TableInfo | None) -> tuple[str, ...]:
    """Lock the table; return why staging cannot take its place after all. Call it inside the transaction."""
    exchange = exchange_of(dest)
    assert exchange is not None
    if table is None:
        return ()
    if not staged.table_kind:
        return ("it was created while rows were staged",)
    if lock := exchange.lock(dest.table):
        dest.session.execute(lock)
    if obstacles := exchange.obstacles(dest.session, dest.table, dest.staging):
        return obstacles
    differences = exchange.differences(dest.session, dest.table, dest.staging)
    changed = "it was changed while rows were staged, or a part of it cannot be carried over"
    return (f"{changed} ({', '.join(differences)})",) if differences else ()


def chosen_instead(dest: Destination, table: TableInfo | None, reasons: tuple[str, ...]) -> ChosenMethod:
    """Return the method by which rows are copied instead. Raises DestinationChanged if the module requires to exchange.

    A retry then stages the rows again, or says what prevents it.
    """
    if not dest.plan.strategy.traits.replaces_all or table is None:
        return ChosenMethod(method=PublishMethod.MERGE, why=not_exchanged(reasons))
    if dest.plan.full_publish is FullPublish.SWAP:
        raise DestinationChanged(
            f"{dest.table} could not be exchanged, because {' and '.join(reasons)}; nothing was published.",
            hint="Run it again, or set full_publish to auto: the rows are then copied if there is no other way.",
        )
    return without_exchange(dest, table, reasons)


def statements(dest: Destination, table: TableInfo | None) -> tuple[str, ...]:
    """Return the statements of the exchange."""
    exchange = exchange_of(dest)
    assert exchange is not None
    if table is None:
        return exchange.move(dest.session, dest.table, dest.staging)
    exchanged = exchange.exchange(dest.session, dest.table, dest.staging)
    if dest.plan.keep_previous or not exchange.keeps_former:
        return exchanged
    return (*exchanged, dest.dialect.drop_table(dest.staging))


def execute(dest: Destination, built: Sequence[str]) -> None:
    """Execute the statements of the exchange. Raises ExchangeFailed if the server refuses one."""
    for sql in built:
        try:
            dest.session.execute(sql)
        except ConfigurationError as error:
            raise ExchangeFailed(error.message, hint=error.hint, detail=error.detail) from error
        point("publish.between_statements")


def planned_statements(dest: Destination, columns: Sequence[Column], table: TableInfo | None) -> tuple[str, ...]:
    """Return all statements of an exchange, in order, from the creation of the staging table; for a dry run."""
    exchange = exchange_of(dest)
    assert exchange is not None
    dest.staging = beside(dest)
    if table is None:
        pairs = [(column.dest_name, column.dest_type) for column in columns]
        indexes = create_indexes(dest, dest.staging)
        prepared = (dest.dialect.create_table(dest.staging, pairs), *indexes, dest.dialect.analyze(dest.staging))
    else:
        created = exchange.create(dest.session, dest.table, dest.staging)
        prepared = (*created, *exchange.complete(dest.session, dest.table, dest.staging, exists=False))
    return (*filter(None, prepared), *statements(dest, table))


def record(dest: Destination, staged: StagedRows, table: TableInfo | None) -> int | None:
    """Record the exchange, after its statements; return the size of the former table, None if it is not kept."""
    columns = [column.dest_name for column in staged.columns]
    former = former_tables_of(dest)
    if former is None or table is None or not dest.plan.keep_previous:
        exchange_record.write(dest, columns=columns)
        return None
    version = former.data_version(dest.session, dest.table, staged.rows)
    exchange_record.write(dest, columns=columns, data_version=version)
    return former.size(dest.session, dest.staging)


def _execute(dest: Destination, sql: str) -> None:
    with holding_claim(dest):
        dest.session.execute(sql)
    point("publish.completing")
