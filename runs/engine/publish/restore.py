"""Puts the former table, which an exchange left as the module's staging table, back in one transaction.

Refused when anything has written to the table since, or changed what it is. The table that it replaces then is the
staging table, until the next run.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from connections.sdk.errors import NotSupported, Refused, TableMissing
from connections.sdk.table_exchange import FormerTables
from runs.engine.destination import Destination
from runs.engine.events import Event, MergeSqlBuilt, Published, TransactionEvents, Unconfirmed, Warned
from runs.engine.faults import point
from runs.engine.plan import Plan
from runs.engine.publish import destination_shape, exchange_record, staging
from runs.engine.publish.after_commit import release_former
from runs.engine.publish.commit import CommitKind, CommitUnknown, publish_transaction
from runs.engine.publish.exchange_record import ExchangeRecord
from runs.engine.publish.method import former_tables_of


def restore_previous(plan: Plan) -> Generator[Event, None, None]:
    """Exchange the tables back, yielding events, among them Published. An error leaves both tables as they are."""
    events: TransactionEvents = []
    try:
        with Destination.open(plan) as dest:
            exchange = former_tables_of(dest)
            if exchange is None:
                raise NotSupported(
                    f"On {plan.destination.kind} a full refresh keeps no former table that could be restored.",
                    hint="Restore the table from a backup.",
                )
            record = _record(dest)
            staging.claim(dest)
            # it lacks the foreign keys, which `release_former` has dropped
            differences = exchange.differences(dest.session, dest.table, dest.staging)
            _refuse(dest, record, [part for part in differences if not part.startswith("constraint ")])
            completed = exchange.complete(dest.session, dest.table, dest.staging)
            for sql in completed:
                dest.session.execute(sql)
            with publish_transaction(dest, CommitKind.PUBLISH) as commit:
                if commit.published is None:
                    commit.published = _restore(dest, exchange, record, completed, events)
            if not commit.result.recovered:
                point("publish.after_commit")
            yield from events
            yield commit.result
            yield from map(Warned, release_former(dest))
    except CommitUnknown:
        yield Unconfirmed(tuple(events))
        raise


def _record(dest: Destination) -> ExchangeRecord:
    record = exchange_record.find(dest)
    if record is None or not record.data_version or dest.describe(dest.staging) is None:
        raise TableMissing(
            f"No former table of {dest.plan.module} is kept: there is nothing to restore.",
            hint="It is kept from a full refresh that exchanges the tables (publish method swap) with "
            "keep_previous, until the next run of the module.",
        )
    return record


def _restore(
    dest: Destination,
    exchange: FormerTables,
    record: ExchangeRecord,
    completed: tuple[str, ...],
    events: TransactionEvents,
) -> Published:
    table = destination_shape.lock_and_describe(dest)
    if table is None:
        raise TableMissing(
            f"There is no table {dest.table}, so there is nothing to exchange the former one for.",
            hint=f"Rename {dest.staging} to {dest.table} yourself.",
        )
    dest.session.execute(exchange.lock(dest.table))
    _check(dest, exchange, record)
    deleted, inserted = dest.count(dest.table), dest.count(dest.staging)
    statements = exchange.exchange(dest.session, dest.table, dest.staging)
    events.append(MergeSqlBuilt(";\n\n".join([*completed, *statements]) + ";"))
    for sql in statements:
        dest.session.execute(sql)
        point("publish.between_statements")
    exchange_record.write(dest, columns=record.columns)
    return Published(
        inserted=inserted, updated=0, deleted=deleted, kept_bytes=exchange.size(dest.session, dest.staging)
    )


def _check(dest: Destination, exchange: FormerTables, record: ExchangeRecord) -> None:
    """Raise Refused if the table was written to since the exchange, or cannot be exchanged now."""
    obstacles = exchange.obstacles(dest.session, dest.table, dest.staging)
    _refuse(dest, record, obstacles or exchange.differences(dest.session, dest.table, dest.staging))
    if exchange.has_changed(dest.session, dest.table, record.data_version):
        raise Refused(
            f"Rows of {dest.table} were written since run {record.run} published it; nothing was changed.",
            hint=_hint(dest),
        )


def _refuse(dest: Destination, record: ExchangeRecord, reasons: Sequence[str]) -> None:
    if reasons:
        raise Refused(
            f"{dest.table} was changed since run {record.run} published it, so the former table cannot take its place: "
            f"{' and '.join(reasons)}. Nothing was changed.",
            hint=_hint(dest),
        )


def _hint(dest: Destination) -> str:
    return f"The former table is {dest.staging}, until the module runs again: copy its rows yourself."
