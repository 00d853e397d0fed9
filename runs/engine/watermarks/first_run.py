"""Whether a named watermark has no value yet because its query asks the table that this module's first run makes."""

from __future__ import annotations

from collections.abc import Iterator

from connections import registry
from connections.sdk.protocols import Session
from connections.sdk.schema import TableName
from connections.sdk.sql.dialect import Dialect
from runs.engine.plan import NamedWatermark, Plan


def asks_for_new_table(session: Session, plan: Plan, watermark: NamedWatermark) -> bool:
    """Whether the only table that the resolver lacks is the module's own destination, on the destination's connection.

    Asked after the resolver failed for a missing table; whatever cannot be told for certain stays that failure.
    """
    if watermark.connection != plan.destination:
        return False
    dialect = registry.dialect_for(plan.destination)
    describe = registry.connector(plan.destination.kind).introspector.describe_table
    own = _comparable(plan.dest_table, dialect)
    tables = list(_tables(watermark.resolver_sql, dialect))
    if own not in [_comparable(table, dialect) for table in tables] or describe(session, plan.dest_table) is not None:
        return False
    return all(_comparable(table, dialect) == own or describe(session, table) is not None for table in tables)


def _tables(sql: str, dialect: Dialect) -> Iterator[TableName]:
    """Yield the tables of a query as the system reads their names; nothing when the query cannot be read."""
    # takes long to import, and is needed once in a module's life
    import sqlglot
    from sqlglot import exp

    try:
        tree = sqlglot.parse_one(sql, read=dialect.sqlglot)
    except sqlglot.errors.SqlglotError:
        # TokenError, for a comment without an end, is no ParseError
        return
    made = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        name, schema = (_folded(table.args.get(part), dialect) for part in ("this", "db"))
        if name and not (name in made and not schema) and not table.catalog:
            yield TableName(schema, name)


def _folded(identifier: object, dialect: Dialect) -> str:
    from sqlglot import exp

    if not isinstance(identifier, exp.Identifier):
        return ""
    name = str(identifier.this)
    return name.lower() if dialect.folds_to == "lower" and not identifier.args.get("quoted") else name


def _comparable(table: TableName, dialect: Dialect) -> str:
    text = dialect.qualified(TableName(table.schema or dialect.default_schema, table.table))
    # without folding, names differ in case and are the same
    return text if dialect.folds_to else text.casefold()
