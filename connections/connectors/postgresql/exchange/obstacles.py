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
    "event_trigger": "the event trigger {names} acts on CREATE TABLE",
    "extension": "it belongs to the extension {names}",
    "grantor": "{names} granted privileges on it, and not its owner",
    "identity": "its column {names} is an identity",
    "index_extension": "its index {names} depends on an extension",
    "inheritance": "it is inherited or partitioned, with {names}",
    "invalid_index": "its index {names} is invalid",
    "itself": "{names} refers to it",
    "kind": "it is not an ordinary table",
    "no_replica_identity": "the index of its replica identity was dropped",
    "owner": "it belongs to {names}, and this user is not a member of that role",
    "owner_create": "its owner may not create tables in the schema {names}",
    "partitioned_reference": "its foreign key {names} references a partitioned table",
    "publication": "the publication {names} publishes its changes",
    "row_security": "it has row security",
    "row_type": "its row type has a comment or privileges of its own",
    "row_variable": "{names} may have a variable of its row type",
    "security_label": "it has a security label of {names}",
    "statistics_owner": "its statistics object {names} belongs to a role of which this user is not a member",
    "subscription": "a subscription writes to it",
    "temporary": "it is temporary",
    "typed": "it is a table of the type {names}",
}
_STAGING_PUBLISHED = "the publication {names} would publish the staging table"
# of a new table; the rows that it has when it is moved there would not be published
_SCHEMA_PUBLISHED = "the publication {names} publishes the tables of its schema"
_DEFAULTS = "there are default privileges for tables in the schema {names}"
# objects that are named for one reason
_MAX_NAMED = 3


def of_exchange(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    """Return why ``beside`` cannot take the place of the existing table."""
    rows = session.fetch(_query("exchange_obstacles"), (table.schema, table.table, beside.schema, beside.schema))
    return (*obstacle_phrases(rows, _TEXTS), *_publications(session, beside.schema, _STAGING_PUBLISHED))


def of_move(session: Session, table: TableName, beside: TableName) -> tuple[str, ...]:
    """Return why ``beside`` cannot become the new table."""
    # privileges that a table of the destination's schema would not have
    has_defaults = session.fetch(_query("default_privileges"), (beside.schema,))
    return (
        *((_DEFAULTS.format(names=beside.schema),) if has_defaults else ()),
        *obstacle_phrases(session.fetch(_query("creation_triggers")), _TEXTS),
        *_publications(session, beside.schema, _STAGING_PUBLISHED),
        *_publications(session, table.schema, _SCHEMA_PUBLISHED),
    )


def _publications(session: Session, schema: str, text: str) -> list[str]:
    """Return the publications that publish what is written to a logged table of the schema."""
    rows = session.fetch(_query("publications_of_schema"), (schema, schema))
    return [text.format(names=listed([name for (name,) in rows], most=_MAX_NAMED))] if rows else []


def _query(name: str) -> str:
    return (_QUERIES / f"{name}.sql").read_text()
