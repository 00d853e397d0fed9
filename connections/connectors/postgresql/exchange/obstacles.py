"""Why a table cannot be exchanged: what depends on it, or what the table in its place would not have."""

from __future__ import annotations

from pathlib import Path

from connections.sdk.formatting import listed
from connections.sdk.protocols import Session
from connections.sdk.schema import TableName
from connections.sdk.table_exchange import obstacle_phrases

_QUERIES = Path(__file__).parent.parent / "queries"
# by what `exchange_obstacles.sql` reports; {names} are the objects or roles
_TEXTS = {
    "access_method": "it is not a heap, but {names}",
    "create": "this user may not create tables in the schema {names}",
    "dependent": "{names} depends on it",
    "extension": "it belongs to the extension {names}",
    "grantor": "{names} granted privileges on it, and not its owner",
    "identity": "its column {names} is an identity",
    "inheritance": "it is inherited or partitioned, with {names}",
    "invalid_index": "its index {names} is invalid",
    "kind": "it is not an ordinary table",
    "owner": "it belongs to {names}, and this user is not a member of that role",
    "owner_create": "its owner may not create tables in the schema {names}",
    "publication": "the publication {names} publishes its changes",
    "row_security": "it has row security",
    "security_label": "it has a security label of {names}",
    "subscription": "a subscription writes to it",
    "temporary": "it is temporary",
    "typed": "it is a table of the type {names}",
}
_PUBLISHED = "the publication {names} would publish the staging table"
_DEFAULTS = "there are default privileges for tables in the schema {names}"
# objects that are named for one reason
_MAX_NAMED = 3


def of_exchange(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    """Return why ``beside`` cannot take the place of the existing table."""
    rows = session.fetch(_query("exchange_obstacles"), (table.schema, table.table, beside.schema, beside.schema))
    return obstacle_phrases([(what, name) for what, name in rows], _TEXTS) + _publications(session, beside)


def of_move(session: Session, beside: TableName) -> tuple[str, ...]:
    """Return why ``beside`` cannot become a new table."""
    # privileges that a table of the destination's schema would not have
    has_defaults = session.fetch(_query("default_privileges"), (beside.schema,))
    return ((_DEFAULTS.format(names=beside.schema),) if has_defaults else ()) + _publications(session, beside)


def _publications(session: Session, beside: TableName) -> tuple[str, ...]:
    """Return the publications to which the rows would be staged, unlike those of an UNLOGGED table."""
    rows = session.fetch(_query("publications_of_schema"), (beside.schema,))
    return (_PUBLISHED.format(names=listed([name for (name,) in rows], most=_MAX_NAMED)),) if rows else ()


def _query(name: str) -> str:
    return (_QUERIES / f"{name}.sql").read_text()
