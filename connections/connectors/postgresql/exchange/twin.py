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
    method = table["access_method"]
    using = f"\nUSING {_quote(method)}" if method != definition.default_access_method else ""
    create = f"CREATE {unlogged}TABLE {name} (\n  {like} EXCLUDING IDENTITY\n){using}{options}"
    yield from _in_tablespace(definition, table["tablespace"], create)
    if table["comment"] is not None:
        yield f"COMMENT ON TABLE {name} IS {DIALECT.string(table['comment'])}"
    for column in definition.of_kind("column"):
        alter = f"ALTER TABLE {name} ALTER COLUMN {_quote(column.name)}"
        if column["statistics"] is not None:
            yield f"{alter} SET STATISTICS {int(column['statistics'])}"
        if column["options"]:
            yield f"{alter} SET ({_options(column['options'])})"
    for constraint in definition.of_kind("constraint"):
        if constraint["type"] != "f" and constraint["definition"].endswith(" NOT VALID"):
            # the copy of an empty table is valid
            yield f"ALTER TABLE {name} DROP CONSTRAINT {_quote(constraint.name)}"
            yield from _constraint(constraint, name, constraint["definition"])
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
            yield from _index(definition, index, name, TableName(twin.schema, names["index", index.name]))
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
        if statistics["owner"] != definition.user:
            yield f"ALTER STATISTICS {own} OWNER TO {_quote(statistics['owner'])}"
        if statistics["target"] is not None:
            yield f"ALTER STATISTICS {own} SET STATISTICS {int(statistics['target'])}"
        if statistics["comment"] is not None:
            yield f"COMMENT ON STATISTICS {own} IS {DIALECT.string(statistics['comment'])}"
    yield f"ANALYZE {name}"


def release_statements(former: TableDefinition) -> Iterator[str]:
    """Yield the statements that drop a former table's foreign keys, which would prevent deletes from other tables."""
    name = DIALECT.qualified(former.table)
    keys = [part for part in former.of_kind("constraint") if part["type"] == "f" and not part["own"]]
    # the order in which a delete from a referenced table locks both; the other one could end in a deadlock
    for referenced in sorted({key["lockable"] for key in keys if key["lockable"]}):
        yield f"LOCK TABLE {referenced} IN ACCESS EXCLUSIVE MODE"
    for constraint in keys:
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
    of_owner = sorted(privilege for grantee, privilege, grantable in granted if grantee == owner and not grantable)
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


def _in_tablespace(definition: TableDefinition, tablespace: str | None, create: str) -> Iterator[str]:
    """Yield a statement that creates something in a tablespace, None for the database's.

    The clause would stand in the middle of an index's definition, and cannot name the database's tablespace.
    """
    if tablespace == definition.default_tablespace:
        yield create
    else:
        yield f"SET default_tablespace = {DIALECT.string(tablespace or '')}"
        yield create
        yield "RESET default_tablespace"


def _index(definition: TableDefinition, index: Part, table: str, name: TableName) -> Iterator[str]:
    constraint, quoted, own = index["constraint"], _quote(name.table), DIALECT.qualified(name)
    if constraint and (constraint["type"] == "x" or constraint["period"]):
        create = f"ALTER TABLE {table} ADD CONSTRAINT {quoted} {constraint['definition']}"
        yield from _in_tablespace(definition, index["tablespace"], create)
    else:
        unique = "UNIQUE " if index["unique"] else ""
        create = f"CREATE {unique}INDEX {quoted} ON {table} USING {index['definition']}"
        yield from _in_tablespace(definition, index["tablespace"], create)
        if constraint:
            words = "PRIMARY KEY" if constraint["type"] == "p" else "UNIQUE"
            deferrable = " DEFERRABLE" if constraint["deferrable"] else ""
            deferred = " INITIALLY DEFERRED" if constraint["deferred"] else ""
            yield f"ALTER TABLE {table} ADD CONSTRAINT {quoted} {words} USING INDEX {quoted}{deferrable}{deferred}"
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
    definition = constraint["definition"]
    if constraint["own"]:
        definition = definition.replace(" REFERENCES (", f" REFERENCES {table}(", 1)
    unchecked = definition.endswith((" NOT VALID", " NOT ENFORCED"))
    yield from _constraint(constraint, table, f"{definition}{'' if unchecked else ' NOT VALID'}")
    if not unchecked:
        yield f"ALTER TABLE {table} VALIDATE CONSTRAINT {_quote(constraint.name)}"


def _constraint(constraint: Part, table: str, definition: str) -> Iterator[str]:
    name = _quote(constraint.name)
    yield f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"
    if constraint["comment"] is not None:
        yield f"COMMENT ON CONSTRAINT {name} ON {table} IS {DIALECT.string(constraint['comment'])}"
