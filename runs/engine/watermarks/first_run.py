"""Detects a named watermark without a value because its query reads the table that the module's first run creates."""

from __future__ import annotations

from collections.abc import Iterator

from connections import registry
from connections.sdk.protocols import Session
from connections.sdk.schema import TableName
from connections.sdk.sql.dialect import Dialect
from runs.engine.plan import NamedWatermark, Plan


def needs_first_run(session: Session, plan: Plan, watermark: NamedWatermark) -> bool:
    """Return whether the only missing table of the resolver is the module's own destination.

    Called after the resolver failed because of a missing table, with its session at the destination's connection.
    False in case of doubt: the failure is then reported as it is.
    """
    if watermark.connection != plan.destination:
        return False
    dialect = registry.dialect_for(plan.destination)
    describe = registry.connector(plan.destination.kind).introspector.describe_table
    own = dialect.table_key(plan.dest_table)
    tables = list(_tables(watermark.resolver_sql, dialect))
    if own not in map(dialect.table_key, tables) or describe(session, plan.dest_table) is not None:
        return False
    return all(dialect.table_key(table) == own or describe(session, table) is not None for table in tables)


def _tables(sql: str, dialect: Dialect) -> Iterator[TableName]:
    """Yield the tables of a query with their names as the system folds them; none if the query cannot be parsed."""
    # imported late: it takes long to load and is needed only before a module's first run
    import sqlglot
    from sqlglot import exp

    try:
        tree = sqlglot.parse_one(sql, read=dialect.grammar.sqlglot)
    except sqlglot.errors.SqlglotError:
        # not only ParseError: an unclosed comment raises TokenError
        return
    cte_names = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        name, schema = (_folded(table.args.get(part), dialect) for part in ("this", "db"))
        if name and not (name in cte_names and not schema) and not table.catalog:
            yield TableName(schema, name)


def _folded(identifier: object, dialect: Dialect) -> str:
    from sqlglot import exp

    if not isinstance(identifier, exp.Identifier):
        return ""
    name = str(identifier.this)
    return name.lower() if dialect.folds_to == "lower" and not identifier.args.get("quoted") else name
