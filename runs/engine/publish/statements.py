"""The statements of a publish: those of the strategy and, for a new table, those that create it and its key."""

from __future__ import annotations

from collections.abc import Sequence

from connections.sdk.schema import Column, TableInfo, TableName
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
    truncate: bool = True,
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
        tells_upserted=dialect.tells_upserted(dest.session.server_version),
        null_keys=null_keys,
        supports_deletes=plan.supports_deletes,
        rewrites=plan.repair is None or plan.repair.rewrites,
        truncate=truncate,
        may_change_written_rows=may_change_written_rows,
    )


def publish_statements(
    dest: Destination, columns: Sequence[Column], table: TableInfo | None, inputs: StrategyInput
) -> list[Statement]:
    """Return the strategy's statements, preceded and followed by those that create a new table and its indexes."""
    of_strategy = STRATEGIES[dest.plan.strategy](inputs)
    if table is not None:
        return of_strategy
    return [_create_table(dest, columns), *of_strategy, *map(Statement, create_indexes(dest, dest.table))]


def _create_table(dest: Destination, columns: Sequence[Column]) -> Statement:
    pairs = [(column.dest_name, column.dest_type) for column in columns]
    return Statement(dest.dialect.create_table(dest.table, pairs))


def create_indexes(dest: Destination, table: TableName) -> list[str]:
    """Return the statements that index a filled table, which is or becomes the new destination table.

    These are the unique key, which takes a quarter less time after the load, and an index on the watermark.
    """
    plan, dialect = dest.plan, dest.dialect
    named_for = {} if table == dest.table else {"named_for": dest.table}
    statements, has_key = [], False
    if plan.strategy.traits.needs_key and plan.supports_deletes:
        sql = dialect.create_unique(table, plan.merge_key, version=dest.session.server_version, **named_for)
        statements, has_key = [sql] if sql else [], bool(sql)
    # the first column of the key has an index already
    is_indexed = has_key and plan.merge_key[0] == plan.watermark
    if plan.watermark and plan.index_watermark and not is_indexed:
        statements += filter(None, [dialect.create_index(table, plan.watermark, **named_for)])
    return statements
