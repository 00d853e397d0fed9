"""The exchange of tables on SQLite: the former table is dropped, and the other one renamed; see the protocol.

Views and triggers of other tables depend on the table by its name alone, so they are not changed. The names of indexes
are unique in a file and cannot be changed, so the new table gets its indexes after the former one is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from connections.connectors.sqlite.dialect import DIALECT, whole_name
from connections.connectors.sqlite.table_definition import TableDefinition, read_definition
from connections.sdk.errors import TableMissing
from connections.sdk.protocols import Session
from connections.sdk.schema import TableName
from connections.sdk.table_exchange import obstacle_phrases

_OBSTACLES = Path(__file__).with_name("queries") / "exchange_obstacles.sql"
_PHRASES = {
    "conflict": "it has a constraint with ON CONFLICT",
    "references": "it references {names}",
    "referencing": "{names} references it",
    "trigger": "it has the trigger {names}",
    "virtual": "it belongs to the virtual table {names}",
}
_NOT_ORDINARY = "it is not an ordinary table"

# nothing says which table of a file a program has written to
keeps_former = False


def beside(table: TableName, staging: TableName) -> TableName:
    return staging


def left_beside(session: Session, staging: TableName) -> tuple[TableName, ...]:
    return ()


def obstacles(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    try:
        definition = read_definition(session, table)
    except TableMissing:
        return (_NOT_ORDINARY,)
    if not definition.body:
        return (_NOT_ORDINARY,)
    rows = session.fetch(_OBSTACLES.read_text(), (definition.name,))
    return obstacle_phrases([(word, name) for word, name in rows], _PHRASES)


def move_obstacles(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    return ()


def create(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    definition = read_definition(session, table)
    statements = [f"CREATE TABLE {DIALECT.qualified(beside)}{definition.body}"]
    if definition.has_sequence:
        # rows without a number get the ones that they would get in the table
        name, twin = DIALECT.string(definition.name), DIALECT.string(whole_name(beside))
        statements.append(
            f"INSERT INTO sqlite_sequence (name, seq) SELECT {twin}, seq FROM sqlite_sequence WHERE name = {name}"
        )
    return tuple(statements)


def complete(session: Session, table: TableName, beside: TableName, *, exists: bool = True) -> tuple[str, ...]:
    return ()


def lock(table: TableName) -> str:
    # the transaction begins with the lock of the file
    return ""


def differences(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    is_equal = read_definition(session, table).body == read_definition(session, beside).body
    return () if is_equal else ("its columns or constraints",)


def exchange(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    definition = read_definition(session, table)
    name = DIALECT.quote(definition.name)
    statements = [*_sequence(definition, whole_name(beside)), f"DROP TABLE {name}", *_rename(beside, definition.name)]
    statements += definition.indexes
    if definition.is_analyzed:
        # with the former table its statistics were dropped
        statements.append(f"ANALYZE main.{name}")
    return tuple(statements)


def move(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    return tuple(_rename(beside, whole_name(table)))


def _rename(beside: TableName, name: str) -> Iterator[str]:
    # otherwise SQLite resolves the names in all views, and fails for one whose table is missing
    yield "PRAGMA legacy_alter_table = ON"
    yield f"ALTER TABLE {DIALECT.qualified(beside)} RENAME TO {DIALECT.quote(name)}"
    yield "PRAGMA legacy_alter_table = OFF"


def _sequence(definition: TableDefinition, twin: str) -> Iterator[str]:
    """Yield the statements by which AUTOINCREMENT counts on from the higher number of both tables."""
    if definition.has_sequence:
        name, staged = DIALECT.string(definition.name), DIALECT.string(twin)
        highest = f"SELECT max(seq) FROM sqlite_sequence WHERE name IN ({name}, {staged})"
        yield f"UPDATE sqlite_sequence SET seq = ({highest}) WHERE name = {name}"
        yield f"DELETE FROM sqlite_sequence WHERE name = {staged}"
        # dropping a table deletes its number, renaming one renames it
        yield f"UPDATE sqlite_sequence SET name = {staged} WHERE name = {name}"
