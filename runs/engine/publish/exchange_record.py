"""The record of a module's last exchange: which columns the run fills, and the version of the rows that it published.

As long as the record exists, the module's staging table is a twin of the destination table, its former table, or
missing; it is the former table if the record has a version.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence

from connections.sdk.errors import TableMissing
from connections.sdk.records import dataclass
from runs.engine import control_tables
from runs.engine.destination import Destination


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRecord:
    """``data_version`` is that of the new table, empty if no former table was kept."""

    run: str
    columns: tuple[str, ...]
    data_version: str = ""


def find(dest: Destination) -> ExchangeRecord | None:
    """Return the record of the module's last exchange, None if there was none or a later run has staged rows."""
    mark = dest.dialect.placeholder
    try:
        rows = dest.session.fetch(
            f"SELECT run, columns, data_version FROM {_table(dest)} WHERE module = {mark}", (dest.plan.module,)
        )
    except TableMissing:
        return None
    if not rows:
        return None
    run, columns, data_version = rows[0]
    return ExchangeRecord(run=run, columns=tuple(json.loads(columns)), data_version=data_version or "")


def write(dest: Destination, *, columns: Sequence[str], data_version: str = "") -> None:
    """Write the record of the plan's run; call it inside a transaction."""
    mark = dest.dialect.placeholder
    values = (
        dest.plan.module,
        dest.plan.run,
        json.dumps(list(columns)),
        data_version or None,
        dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    )
    delete(dest)
    marks = ", ".join([mark] * len(values))
    dest.session.execute(
        f"INSERT INTO {_table(dest)} (module, run, columns, data_version, exchanged_at) VALUES ({marks})", values
    )


def delete(dest: Destination) -> None:
    """Delete the module's record, because its staging table is about to be one of staged rows."""
    dest.session.execute(f"DELETE FROM {_table(dest)} WHERE module = {dest.dialect.placeholder}", (dest.plan.module,))


def _table(dest: Destination) -> str:
    return dest.dialect.qualified(control_tables.exchanges_table(dest.dialect))
