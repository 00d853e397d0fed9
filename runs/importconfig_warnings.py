"""Warnings about modules when they are imported; their runs and dry runs repeat them.

For every module: columns of the query that the destination lacks. For incremental ones also: destination columns that
are reset, and a key column that serves as the watermark and may not grow. Destinations are only inspected: no file is
created and no server started, and a destination that does not answer is named in a warning.
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
from modules.models import Module
from modules.query.column_mapping import map_columns
from modules.strategies import traits_of
from runs.engine.extract.columns import column_missing_in
from runs.engine.publish import unfilled_columns
from runs.engine.sessions import for_inspection, open_session

# seconds that an import may spend on these checks
_TIME_LIMIT = 10.0
# the number of modules that a warning names
_MAX_NAMES = 5


def warnings(modules: Iterable[Module]) -> Iterator[str]:
    """Yield the warnings about each module, from its configuration and its destination's columns.

    The columns of ``SELECT *`` are known only to the source, which is not queried.
    """
    by_destination = sorted(modules, key=lambda module: (module.dest_connection.name, module.name))
    deadline = time.monotonic() + _TIME_LIMIT
    for connection, group in groupby(by_destination, key=lambda module: module.dest_connection):
        members = list(group)
        if connection.supports_deletes and not registry.local_server(connection.driver.kind, connection.options):
            yield from _from_destination(connection, members, deadline)
        else:
            yield from _from_configuration(members)


def _from_destination(connection: Connection, modules: list[Module], deadline: float) -> Iterator[str]:
    describe = registry.connector(connection.driver.kind).introspector.describe_table
    left = list(modules)
    try:
        with open_session(for_inspection(connection.parameters()), Cap.WRITE) as opened:
            while left and time.monotonic() < deadline:
                table = describe(opened, left[0].dest_table_name)
                yield from _table_warnings(left[0], table)
                left.pop(0)
        if left:
            yield (
                f"{_names(left)}: the columns of {_whose(left)} were not checked; {connection.name} took more than "
                f"{_TIME_LIMIT:.0f} s for the modules before."
            )
    except (DatabaseMissing, SecretMissing):
        # a new destination has nothing to reset; a missing secret is expected, as secrets are set after an import
        pass
    except PipekitError as error:
        yield f"{_names(left)}: the columns of {_whose(left)} were not checked. {error.message}"
    yield from _from_configuration(left)


def _names(modules: list[Module]) -> str:
    more = f" and {len(modules) - _MAX_NAMES} more" if len(modules) > _MAX_NAMES else ""
    return ", ".join(module.name for module in modules[:_MAX_NAMES]) + more


def _whose(modules: list[Module]) -> str:
    return "its destination" if len(modules) == 1 else "their destinations"


def _from_configuration(modules: Iterable[Module]) -> Iterator[str]:
    for module in modules:
        if warning := watermark_types.warning(module):
            yield f"{module.name}: {warning}"


def _table_warnings(module: Module, table: TableInfo | None) -> Iterator[str]:
    traits = traits_of(module.merge_strategy)
    if traits.implies_watermark:
        yield from _watermark_warnings(module, table)
    mapping = map_columns(module.source_query, registry.dialect(module.source_connection.driver.kind))
    if table is None or mapping.star:
        return
    columns = [Column(dest_name=column.dest_name, dest_type="") for column in mapping.columns]
    if missing := column_missing_in(table, columns):
        yield f"{module.name}: {missing.message} Its runs will fail. {missing.hint}"
    if traits.replaces_matches and (names := unfilled_columns.unfilled(table, columns)):
        yield f"{module.name}: {unfilled_columns.reset_text(module.dest_table_name, names)}"


def _watermark_warnings(module: Module, table: TableInfo | None) -> Iterator[str]:
    key = table.column(module.effective_watermark) if table else None
    if key and not module.watermark_column and implied_watermark.may_not_grow(key.data_type):
        yield f"{module.name}: {implied_watermark.warning(key.name, key.data_type)}"
    elif key is None:
        yield from _from_configuration([module])
