"""The statements that make a twin of a table: what the rows need before the load, everything else after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from connections.connectors.postgresql.dialect import DIALECT
from connections.connectors.postgresql.exchange.definition import Part, TableDefinition
from connections.sdk.schema import TableName

_REPLICA_IDENTITIES = {"f": "FULL", "n": "NOTHING"}
_quote = DIALECT.quote


def create_statements(definition: TableDefinition, twin: TableName) -> Iterator[str]:
    """Yield the statements that create the twin, empty and without indexes, foreign keys and statistics objects."""
    name, table = DIALECT.qualified(twin), definition.whole
    unlogged = "UNLOGGED " if table["persistence"] == "u" else ""
    # identity columns would get sequences of their own
    like = f"LIKE {DIALECT.qualified(definition.table)} INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS"
    options = f"\nWITH ({_options(table['options'])})" if table["options"] else ""
    tablespace = f"\nTABLESPACE {_quote(table['tablespace'])}" if table["tablespace"] else ""
    yield f"CREATE {unlogged}TABLE {name} (\n  {like} EXCLUDING IDENTITY\n){options}{tablespace}"
    if table["comment"] is not None:
        yield f"COMMENT ON TABLE {name} IS {DIALECT.string(table['comment'])}"
    for column in definition.of_kind("column"):
        alter = f"ALTER TABLE {name} ALTER COLUMN {_quote(column.name)}"
        if column["statistics"] is not None:
            yield f"{alter} SET STATISTICS {int(column['statistics'])}"
        if column["options"]:
            yield f"{alter} SET ({_options(column['options'])})"
    if table["owner"] != definition.user:
        yield f"ALTER TABLE {name} OWNER TO {_quote(table['owner'])}"
    yield from _privileges(definition, name)


def complete_statements(definition: TableDefinition, beside: TableDefinition) -> Iterator[str]:
    """Yield the statements that give the filled twin ``beside`` the indexes, foreign keys and statistics it lacks."""
    twin = beside.table
    name, names = DIALECT.qualified(twin), definition.names_beside(twin)
    existing = {(part.kind, part.name) for part in beside.parts}
    for index in definition.of_kind("index"):
        if ("index", names["index", index.name]) not in existing:
            yield from _index(index, name, twin.schema, names["index", index.name])
    if identity := _REPLICA_IDENTITIES.get(definition.whole["replica_identity"]):
        yield f"ALTER TABLE {name} REPLICA IDENTITY {identity}"
    for constraint in definition.of_kind("constraint"):
        if constraint["type"] == "f" and ("constraint", constraint.name) not in existing:
            yield from _foreign_key(constraint, name)
    for statistics in definition.of_kind("statistics"):
        if ("statistics", names["statistics", statistics.name]) in existing:
            continue
        own = DIALECT.qualified(TableName(twin.schema, names["statistics", statistics.name]))
        yield f"CREATE STATISTICS {own} {statistics['definition']} FROM {name}"
        if statistics["target"] is not None:
            yield f"ALTER STATISTICS {own} SET STATISTICS {int(statistics['target'])}"
        if statistics["comment"] is not None:
            yield f"COMMENT ON STATISTICS {own} IS {DIALECT.string(statistics['comment'])}"
    yield f"ANALYZE {name}"


def release_statements(former: TableDefinition) -> Iterator[str]:
    """Yield the statements that drop a former table's foreign keys, which would prevent deletes from other tables."""
    name = DIALECT.qualified(former.table)
    for constraint in former.of_kind("constraint"):
        if constraint["type"] == "f" and not constraint["own"]:
            yield f"ALTER TABLE {name} DROP CONSTRAINT {_quote(constraint.name)}"


def grant_statements(table: TableName, granted: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Yield the GRANTs for triples of grantee (None for PUBLIC), privilege and whether it is with grant option."""
    yield from _grants(DIALECT.qualified(table), granted)


def _options(options: list[str]) -> str:
    """Return storage parameters, which the catalogue has as name=value, for WITH or SET."""
    pairs = [option.partition("=") for option in options]
    return ", ".join(f"{'.'.join(map(_quote, name.split('.')))} = {DIALECT.string(value)}" for name, _, value in pairs)


def _privileges(definition: TableDefinition, name: str) -> Iterator[str]:
    """Yield the statements that replace the default privileges of a new table by those of the definition."""
    table = definition.whole
    owner, granted = table["owner"], table["privileges"] or []
    of_owner = sorted(privilege for grantee, privilege, _ in granted if grantee == owner)
    revoked = [grantee for grantee in definition.default_grantees if grantee != owner]
    if of_owner != table["all_privileges"] or owner in definition.default_grantees:
        revoked.append(owner)
    for grantee in revoked:
        yield f"REVOKE ALL ON TABLE {name} FROM {_role(grantee)}"
    kept = [] if owner in revoked else [owner]
    yield from _grants(name, [grant for grant in granted if grant[0] not in kept])
    for column in definition.of_kind("column"):
        yield from _grants(name, column["privileges"] or [], column=f" ({_quote(column.name)})")


def _grants(name: str, granted: Sequence[Sequence[Any]], *, column: str = "") -> Iterator[str]:
    grouped: dict[tuple[str | None, bool], list[str]] = {}
    for grantee, privilege, grantable in granted:
        grouped.setdefault((grantee, grantable), []).append(f"{privilege}{column}")
    for (grantee, grantable), privileges in grouped.items():
        option = " WITH GRANT OPTION" if grantable else ""
        yield f"GRANT {', '.join(privileges)} ON TABLE {name} TO {_role(grantee)}{option}"


def _role(grantee: str | None) -> str:
    return "PUBLIC" if grantee is None else _quote(grantee)


def _index(index: Part, table: str, schema: str, name: str) -> Iterator[str]:
    constraint, quoted, own = index["constraint"], _quote(name), DIALECT.qualified(TableName(schema, name))
    if index["tablespace"]:
        # the clause stands in the middle of the definition
        yield f"SET default_tablespace = {DIALECT.string(index['tablespace'])}"
    if constraint and (constraint["type"] == "x" or constraint["period"]):
        yield f"ALTER TABLE {table} ADD CONSTRAINT {quoted} {constraint['definition']}"
    else:
        unique = "UNIQUE " if index["unique"] else ""
        yield f"CREATE {unique}INDEX {quoted} ON {table} USING {index['definition']}"
        if constraint:
            words = "PRIMARY KEY" if constraint["type"] == "p" else "UNIQUE"
            deferrable = " DEFERRABLE" if constraint["deferrable"] else ""
            deferred = " INITIALLY DEFERRED" if constraint["deferred"] else ""
            yield f"ALTER TABLE {table} ADD CONSTRAINT {quoted} {words} USING INDEX {quoted}{deferrable}{deferred}"
    if index["tablespace"]:
        yield "RESET default_tablespace"
    for position, target in (index["statistics"] or {}).items():
        yield f"ALTER INDEX {own} ALTER COLUMN {int(position)} SET STATISTICS {int(target)}"
    if index["comment"] is not None:
        yield f"COMMENT ON INDEX {own} IS {DIALECT.string(index['comment'])}"
    if constraint and constraint["comment"] is not None:
        yield f"COMMENT ON CONSTRAINT {quoted} ON {table} IS {DIALECT.string(constraint['comment'])}"
    if index["clustered"]:
        yield f"ALTER TABLE {table} CLUSTER ON {quoted}"
    if index["replica_identity"]:
        yield f"ALTER TABLE {table} REPLICA IDENTITY USING INDEX {quoted}"


def _foreign_key(constraint: Part, table: str) -> Iterator[str]:
    """Yield the statements that add a foreign key; it is validated with a weaker lock on the referenced table."""
    name, definition = _quote(constraint.name), constraint["definition"]
    if constraint["own"]:
        definition = definition.replace(" REFERENCES (", f" REFERENCES {table}(", 1)
    unchecked = definition.endswith((" NOT VALID", " NOT ENFORCED"))
    yield f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}{'' if unchecked else ' NOT VALID'}"
    if not unchecked:
        yield f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}"
    if constraint["comment"] is not None:
        yield f"COMMENT ON CONSTRAINT {name} ON {table} IS {DIALECT.string(constraint['comment'])}"
