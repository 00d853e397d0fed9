"""The method by which a run's rows get from staging into the destination table, chosen before they are staged.

With the exchange, staging takes the place of the table and no row is copied. It is the method of a new table, and of a
full refresh if the module's full_publish allows it and nothing would be lost.
"""

from __future__ import annotations

from enum import StrEnum
from typing import cast

from connections import registry
from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.records import dataclass
from connections.sdk.schema import TableInfo, TableName
from connections.sdk.table_exchange import FormerTables, TableExchange
from runs.engine.destination import Destination
from runs.engine.plan import FullPublish
from runs.engine.publish import foreign_keys


class PublishMethod(StrEnum):
    """How rows are published: SWAP exchanges tables, TRUNCATE and DELETE empty the table first, MERGE is all else."""

    SWAP = "swap"
    TRUNCATE = "truncate"
    DELETE = "delete"
    MERGE = "merge"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenMethod:
    """A method, and why it was chosen: empty if the module or the strategy says so."""

    method: PublishMethod
    why: str = ""

    @property
    def exchanges(self) -> bool:
        return self.method is PublishMethod.SWAP


def exchange_of(dest: Destination) -> TableExchange | None:
    """Return the exchange of tables of the destination's kind, None if it has none."""
    return registry.table_exchange(dest.plan.destination.kind)


def former_tables_of(dest: Destination) -> FormerTables | None:
    """Return the exchange of tables of the destination's kind if the former table can be kept, else None."""
    exchange = exchange_of(dest)
    return cast(FormerTables, exchange) if exchange is not None and exchange.keeps_former else None


def beside(dest: Destination) -> TableName:
    """Return the staging table that takes the place of the destination table."""
    exchange = exchange_of(dest)
    assert exchange is not None
    return exchange.beside(dest.table, dest.staging)


def choose(dest: Destination, table: TableInfo | None) -> ChosenMethod:
    """Return the method. Raises ConfigurationInvalid when the module requires an exchange that is not possible."""
    plan = dest.plan
    replaces = table is not None and plan.strategy.traits.replaces_all
    if table is not None and not replaces:
        return ChosenMethod(method=PublishMethod.MERGE)
    if replaces and plan.full_publish not in (FullPublish.AUTO, FullPublish.SWAP):
        return ChosenMethod(method=PublishMethod(plan.full_publish.value))
    if exchange_of(dest) is None and (not replaces or plan.full_publish is FullPublish.AUTO):
        return without_exchange(dest, table, ()) if replaces else ChosenMethod(method=PublishMethod.MERGE)
    obstacles = _obstacles(dest, table)
    if not obstacles:
        return ChosenMethod(method=PublishMethod.SWAP)
    if not replaces:
        return ChosenMethod(method=PublishMethod.MERGE, why=not_exchanged(obstacles))
    return without_exchange(dest, table, obstacles)


def without_exchange(dest: Destination, table: TableInfo | None, obstacles: tuple[str, ...]) -> ChosenMethod:
    """Return the method of a full refresh for which there are obstacles to an exchange.

    Raises ConfigurationInvalid if the module requires the exchange.
    """
    if dest.plan.full_publish is FullPublish.SWAP:
        raise ConfigurationInvalid(
            f"{dest.table} cannot be exchanged, as full_publish requires: {'; '.join(obstacles)}.",
            hint="Set full_publish to auto: the table is then exchanged whenever that is possible.",
        )
    reasons = [not_exchanged(obstacles)] if obstacles else []
    why_not_truncated = _why_not_truncated(dest, table) if dest.dialect.truncates else ""
    if why_not_truncated:
        reasons.append(f"it cannot be truncated, because it is {why_not_truncated}")
    truncates = dest.dialect.truncates and not why_not_truncated
    method = PublishMethod.TRUNCATE if truncates else PublishMethod.DELETE
    return ChosenMethod(method=method, why="; ".join(reasons))


def not_exchanged(obstacles: tuple[str, ...]) -> str:
    return f"the table is not exchanged, because {' and '.join(obstacles)}"


def _why_not_truncated(dest: Destination, table: TableInfo | None) -> str:
    if table is not None and "truncate" not in table.accepts:
        return f"a {table.kind}"
    others = foreign_keys.preventing_truncate(dest)
    return f"referenced by {foreign_keys.listed(others)}" if others else ""


def _obstacles(dest: Destination, table: TableInfo | None) -> tuple[str, ...]:
    plan, exchange = dest.plan, exchange_of(dest)
    if exchange is None:
        return (f"{plan.destination.kind} has no exchange of tables",)
    if plan.repair is not None:
        # its staging is needed after the publish
        return ("the run is a repair",)
    if plan.jrunner_path:
        return ("an external jrunner writes the rows",)
    if table is None:
        return exchange.move_obstacles(dest.session, dest.table, beside(dest))
    return exchange.obstacles(dest.session, dest.table, beside(dest))
