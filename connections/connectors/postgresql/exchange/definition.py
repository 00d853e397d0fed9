"""The definition of a table: everything that an exchange carries over, read from the catalogue as comparable facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from zlib import crc32

from connections.sdk.errors import PipekitError, TableMissing
from connections.sdk.protocols import Session
from connections.sdk.records import dataclass
from connections.sdk.schema import TableName

_QUERY = Path(__file__).parent.parent / "queries" / "table_definition.sql"
# parts whose names are unique in a schema, so that those of two tables differ while both are in one
_NAMED_IN_SCHEMA = ("index", "statistics")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a table: ``kind`` is table, column, constraint, index or statistics."""

    kind: str
    name: str
    properties: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.properties[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDefinition:
    """The parts of a table, ordered by kind and name.

    ``user`` is the session's. Its new tables have default privileges for the ``default_grantees``, None for PUBLIC, and
    the session's default tablespace and access method.
    """

    table: TableName
    parts: tuple[Part, ...]
    user: str
    default_grantees: tuple[str | None, ...] = ()
    default_tablespace: str | None = None
    default_access_method: str = ""

    @property
    def whole(self) -> Part:
        """The part that describes the table itself."""
        return next(part for part in self.parts if part.kind == "table")

    def of_kind(self, kind: str) -> list[Part]:
        return [part for part in self.parts if part.kind == kind]

    def names_beside(self, beside: TableName) -> dict[tuple[str, str], str]:
        """Return the names of indexes and statistics that correspond to this table's in the table ``beside``.

        They follow from the order of this table's names, so that they need not be stored.
        """
        stem = f"pipekit_{crc32(repr((beside.schema, beside.table)).encode()):08x}"
        parts = [part for part in self.parts if part.kind in _NAMED_IN_SCHEMA]
        return {(part.kind, part.name): f"{stem}_{number}" for number, part in enumerate(parts, start=1)}

    def differences(self, beside: TableDefinition) -> tuple[str, ...]:
        """Return the parts, by kind and name, that the table ``beside`` has not, has besides or has in another form."""
        original = {name: key for key, name in self.names_beside(beside.table).items()}
        own = {(part.kind, part.name): _comparable(part) for part in self.parts}
        other = {original.get(part.name, (part.kind, part.name)): _comparable(part) for part in beside.parts}
        differing = sorted(key for key in own.keys() | other.keys() if own.get(key) != other.get(key))
        # one index more changes the numbers of those after it, which then are the same under another name
        unmatched = [other[key] for key in differing if key in other]
        added = [key for key in differing if key[0] in _NAMED_IN_SCHEMA and own.get(key) not in unmatched]
        named = [key for key in differing if key in added or key[0] not in _NAMED_IN_SCHEMA] or differing
        return tuple(f"{kind} {name}".strip() for kind, name in named)


def _comparable(part: Part) -> dict[str, Any]:
    # statistics objects have a schema of their own, to which those of the other table are moved
    return {key: value for key, value in part.properties.items() if key != "schema"}


def read_definition(session: Session, table: TableName) -> TableDefinition:
    """Return the definition of a table. Raises TableMissing when there is no ordinary table of this name."""
    with _qualified_names(session):
        rows = session.fetch(_QUERY.read_text(), (table.schema, table.table))
    if not rows:
        raise TableMissing(f"There is no table {table}.", hint="It was dropped or renamed; run it again.")
    parts = [Part(*row) for row in rows]
    own_session = next(part for part in parts if part.kind == "session")
    return TableDefinition(
        table=table,
        parts=tuple(part for part in parts if part.kind != "session"),
        user=own_session["user"],
        default_grantees=tuple(own_session["default_grantees"] or ()),
        default_tablespace=own_session["default_tablespace"],
        default_access_method=own_session["default_access_method"],
    )


def empty_definition(table: TableName) -> TableDefinition:
    """Return the definition of a table of which nothing is known."""
    return TableDefinition(table=table, parts=(), user="")


@contextmanager
def _qualified_names(session: Session) -> Iterator[None]:
    """Make the server write every name with its schema during the block."""
    before = session.fetch("SELECT current_setting('search_path'), set_config('search_path', 'pg_catalog', false)")
    try:
        yield
    finally:
        # in a transaction that has failed its end restores the setting
        with suppress(PipekitError):
            session.fetch("SELECT set_config('search_path', %s, false)", (before[0][0],))
