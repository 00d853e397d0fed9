"""What is to be said of modules when they are imported; their runs and dry runs say it each time.

Of every module a column of the query that the destination lacks; of incremental ones also columns that are reset and a
key that is the watermark and may not grow.
Only what is there is asked: no file is made, no server is started, and a destination that does not answer is named.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import groupby

from connections import registry
from connections.models import Connection
from connections.sdk.capabilities import Cap
from connections.sdk.errors import DatabaseMissing, PipekitError, SecretMissing
from connections.sdk.schema import Column, TableInfo
from modules import implied_watermark, watermark_types
from modules.choices import MergeStrategy
from modules.models import Module
from modules.query.mapping import map_columns
from runs.engine.extract import columns as column_choice
from runs.engine.publish import unfilled_columns
from runs.engine.sessions import for_inspection, open_session

# so long may whoever saves many modules wait
_SECONDS = 10.0
# modules that a warning names
_NAMED = 5


def warnings(modules: Iterable[Module]) -> Iterator[str]:
    """Yield what is to be said of each module, by its destination as it is and by what the module itself tells.

    The columns of ``SELECT *`` are known only at its source, which is not asked.
    """
    chosen = sorted(modules, key=lambda module: (module.dest_connection.name, module.name))
    deadline = time.monotonic() + _SECONDS
    for connection, group in groupby(chosen, key=lambda module: module.dest_connection):
        own = list(group)
        if connection.supports_deletes and not connection.options.get("embedded"):
            yield from _at(connection, own, deadline)
        else:
            yield from _by_themselves(own)


def _at(connection: Connection, modules: list[Module], deadline: float) -> Iterator[str]:
    describe = registry.connector(connection.driver.kind).introspector.describe_table
    left = list(modules)
    try:
        with open_session(for_inspection(connection.parameters()), Cap.WRITE) as opened:
            while left and time.monotonic() < deadline:
                table = describe(opened, left[0].dest_table_name)
                yield from _of(left[0], table)
                left.pop(0)
        if left:
            yield (
                f"{_names(left)}: the columns of {_whose(left)} were not looked at; {connection.name} took more than "
                f"{_SECONDS:.0f} s for those before."
            )
    except (DatabaseMissing, SecretMissing):
        # nothing is there that could be reset, or the connection was never used: secrets are set after an import
        pass
    except PipekitError as error:
        yield f"{_names(left)}: {_unknown(left)} is not known. {error.message}"
    yield from _by_themselves(left)


def _names(modules: list[Module]) -> str:
    more = f" and {len(modules) - _NAMED} more" if len(modules) > _NAMED else ""
    return ", ".join(module.name for module in modules[:_NAMED]) + more


def _whose(modules: list[Module]) -> str:
    return "its destination" if len(modules) == 1 else "their destinations"


def _unknown(modules: list[Module]) -> str:
    if any(module.merge_strategy == MergeStrategy.INCREMENTAL for module in modules):
        return f"which columns of {_whose(modules)} are reset"
    return f"whether {_whose(modules)} {'has' if len(modules) == 1 else 'have'} the columns of the query"


def _by_themselves(modules: Iterable[Module]) -> Iterator[str]:
    for module in modules:
        if warning := watermark_types.warning(module):
            yield f"{module.name}: {warning}"


def _of(module: Module, table: TableInfo | None) -> Iterator[str]:
    is_incremental = module.merge_strategy == MergeStrategy.INCREMENTAL
    if is_incremental:
        yield from _of_watermark(module, table)
    mapping = map_columns(module.source_query, registry.dialect(module.source_connection.driver.kind))
    if table is None or mapping.star:
        return
    columns = [Column(dest_name=column.dest_name, dest_type="") for column in mapping.columns]
    if missing := column_choice.missing_in(table, columns):
        yield f"{module.name}: {missing.message} Its runs will fail. {missing.hint}"
    if is_incremental and (names := unfilled_columns.unfilled(table, columns)):
        yield f"{module.name}: {unfilled_columns.reset_text(module.dest_table_name, names)}"


def _of_watermark(module: Module, table: TableInfo | None) -> Iterator[str]:
    key = table.column(module.effective_watermark) if table else None
    if key and not module.watermark_column and implied_watermark.may_not_grow(key.data_type):
        yield f"{module.name}: {implied_watermark.warning(key.name, key.data_type)}"
    elif key is None:
        yield from _by_themselves([module])
