"""The statements that exchange the names of two tables, of their indexes and of their statistics objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from zlib import crc32

from connections.connectors.postgresql.dialect import DIALECT
from connections.connectors.postgresql.exchange.definition import TableDefinition
from connections.sdk.schema import TableName

_quote = DIALECT.quote


def exchange_statements(definition: TableDefinition, beside: TableName) -> Iterator[str]:
    """Yield the statements by which the definition's table and the table ``beside`` change places.

    Their names, schemas, and the names of the indexes and statistics objects are exchanged. Executed again, they
    exchange the tables back.
    """
    table, former, new = definition.table, passing_name(beside, "former").table, passing_name(beside, "new").table
    names = definition.names_beside(beside)
    statistics_schemas = {part.name: str(part["schema"]) for part in definition.of_kind("statistics")}
    # names that neither schema has, while both tables are in one
    passing = {key: f"{name}_former" for key, name in names.items()}
    yield f"ALTER TABLE {DIALECT.qualified(table)} RENAME TO {_quote(former)}"
    yield from _rename(table.schema, {key: (key[1], passing[key]) for key in names}, statistics_schemas)
    yield f"ALTER TABLE {_in(table.schema, former)} SET SCHEMA {_quote(beside.schema)}"
    for name, schema in statistics_schemas.items():
        yield f"ALTER STATISTICS {_in(schema, passing['statistics', name])} SET SCHEMA {_quote(beside.schema)}"
    yield f"ALTER TABLE {DIALECT.qualified(beside)} RENAME TO {_quote(new)}"
    yield f"ALTER TABLE {_in(beside.schema, new)} SET SCHEMA {_quote(table.schema)}"
    for name, schema in statistics_schemas.items():
        yield f"ALTER STATISTICS {_in(beside.schema, names['statistics', name])} SET SCHEMA {_quote(schema)}"
    yield f"ALTER TABLE {_in(table.schema, new)} RENAME TO {_quote(table.table)}"
    yield from _rename(table.schema, {key: (names[key], key[1]) for key in names}, statistics_schemas)
    yield f"ALTER TABLE {_in(beside.schema, former)} RENAME TO {_quote(beside.table)}"
    yield from _rename(beside.schema, {key: (passing[key], names[key]) for key in names}, {})


def move_statements(beside: TableName, table: TableName) -> Iterator[str]:
    """Yield the statements that move the table ``beside`` to the place of ``table``, which does not exist."""
    new = passing_name(beside, "new").table
    yield f"ALTER TABLE {DIALECT.qualified(beside)} RENAME TO {_quote(new)}"
    yield f"ALTER TABLE {_in(beside.schema, new)} SET SCHEMA {_quote(table.schema)}"
    yield f"ALTER TABLE {_in(table.schema, new)} RENAME TO {_quote(table.table)}"


def _rename(
    schema: str, names: Mapping[tuple[str, str], tuple[str, str]], statistics_schemas: Mapping[str, str]
) -> Iterator[str]:
    """Yield the statements that rename indexes and statistics objects from the first name to the second."""
    for (kind, original), (old, new) in names.items():
        own_schema = schema if kind == "index" else statistics_schemas.get(original, schema)
        words = "INDEX" if kind == "index" else "STATISTICS"
        yield f"ALTER {words} {_in(own_schema, old)} RENAME TO {_quote(new)}"


def passing_name(beside: TableName, suffix: str) -> TableName:
    """Return a name in the schema of ``beside`` that no other table has."""
    digest = crc32(repr((beside.schema, beside.table)).encode())
    return TableName(beside.schema, f"pipekit_{digest:08x}_{suffix}")


def _in(schema: str, name: str) -> str:
    return DIALECT.qualified(TableName(schema, name))
