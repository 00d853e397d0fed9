"""What earlier runs left in the staging table: if it is large, it is dropped while rows are transferred.

Deleting its files takes about a second per gigabyte, during which a run would wait for the server.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from connections.sdk.schema import TableName
from runs.engine.destination import Destination
from runs.engine.plan import Plan
from runs.engine.publish.method import former_tables_of

# bytes from which dropping a table takes longer than another session
_LARGE = 100_000_000


def set_aside(dest: Destination) -> TableName | None:
    """Give a large staging table another name, under which it is to be dropped; return that, else None.

    Call it in a transaction that holds the claim on staging. If the run ends before the table is dropped, the next one
    finds and drops it (`TableExchange.left_beside`).
    """
    former = former_tables_of(dest)
    renamed = former.set_aside(dest.session, dest.staging, minimum=_LARGE) if former else None
    if renamed is None:
        return None
    table, sql = renamed
    dest.session.execute(sql)
    return table


@contextmanager
def dropping(plan: Plan, table: TableName | None) -> Iterator[list[Exception]]:
    """Drop the table, if there is one, over a session of its own while the block runs.

    Yield a list, which after the block has the error if it could not be dropped. If the block fails, nothing waits for
    the drop: the next run finds the table.
    """
    errors: list[Exception] = []
    if table is None:
        yield errors
        return
    thread = threading.Thread(target=_drop, args=(plan, table, errors), name="drop", daemon=True)
    thread.start()
    yield errors
    thread.join()


def _drop(plan: Plan, table: TableName, errors: list[Exception]) -> None:
    try:
        with Destination.open(plan) as dest:
            dest.session.execute(dest.dialect.drop_table(table))
    except Exception as error:
        errors.append(error)
