"""Which columns of a destination an incremental module resets, said when it is saved; its runs say it each time.

Only what is there is asked: no file is made, no server is started, and a destination that does not answer is named.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

from connections import registry
from connections.models import Connection
from connections.sdk.capabilities import Cap
from connections.sdk.errors import DatabaseMissing, PipekitError, SecretMissing
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Session
from connections.sdk.schema import Column
from modules.choices import MergeStrategy
from modules.column_mapping import map_columns
from modules.models import Module
from runs.engine import unfilled_columns
from runs.engine.connecting import hurried, session

# so long may whoever saves many modules wait
_SECONDS = 10.0


def warnings(modules: Iterable[Module]) -> Iterator[str]:
    """Yield a warning for each module whose destination has columns that its query does not fill.

    The columns of ``SELECT *`` are known only at its source, which is not asked.
    """
    chosen = [
        m for m in modules if m.merge_strategy == MergeStrategy.INCREMENTAL and m.dest_connection.supports_deletes
    ]
    chosen.sort(key=lambda module: (module.dest_connection.name, module.name))
    deadline = time.monotonic() + _SECONDS
    for connection, group in groupby(chosen, key=lambda module: module.dest_connection):
        if not connection.options.get("embedded"):
            yield from _at(connection, list(group), deadline)


def _at(connection: Connection, modules: list[Module], deadline: float) -> Iterator[str]:
    try:
        with session(_reached(connection), Cap.WRITE) as opened:
            for number, module in enumerate(modules):
                if time.monotonic() > deadline:
                    yield f"{connection.name}: the columns of {len(modules) - number} destinations were not looked at."
                    return
                yield from _of(module, opened)
    except (DatabaseMissing, SecretMissing):
        # nothing is there that could be reset, or the connection was never used: secrets are set after an import
        return
    except PipekitError as error:
        yield f"{connection.name}: which columns of its tables are reset is not known: {error.message}"


def _reached(connection: Connection) -> ConnectionParameters:
    found = hurried(connection.parameters())
    return replace(found, options={name: value for name, value in found.options.items() if name != "create"})


def _of(module: Module, opened: Session) -> Iterator[str]:
    introspector = registry.connector(module.dest_connection.driver.kind).introspector
    table = introspector.describe_table(opened, module.dest_table_name)
    mapping = map_columns(module.source_query, registry.dialect(module.source_connection.driver.kind))
    if table is None or mapping.star:
        return
    columns = [Column(dest_name=column.dest_name, dest_type="") for column in mapping.columns]
    if names := unfilled_columns.unfilled(table, columns):
        yield f"{module.name}: {unfilled_columns.reset_text(module.dest_table_name, names)}"
