"""Finds out whether an open connection leads to Pipekit's metadata: by its tables, and by server and database."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from connections.sdk.errors import PermissionDenied, QueryInvalid
from connections.sdk.files.protection import METADATA_TABLES, refused_database
from connections.sdk.parameters import ConnectionParameters

_QUERIES = files(__package__) / "queries"
IS_METADATA = (
    (_QUERIES / "is_metadata.sql")
    .read_text()
    .format(tables="{" + ",".join(METADATA_TABLES) + "}", count=len(METADATA_TABLES))
)
SERVER_DATABASE = (_QUERIES / "server_database.sql").read_text()

# what SERVER_DATABASE fails with on a server that does not say which it is: without rights, or without the function.
# Its metadata is then known by its tables alone, for which no rights are needed
UNIDENTIFIED = (PermissionDenied, QueryInvalid)


def check_metadata(row: Sequence[Any] | None, parameters: ConnectionParameters) -> None:
    """Raise Protected for the answer to IS_METADATA, or for no answer."""
    if row is None or row[0] is not False:
        raise refused_database(parameters.name)


def check_server_database(row: Sequence[Any] | None, parameters: ConnectionParameters) -> None:
    """Raise Protected for the answer to SERVER_DATABASE, or for no answer."""
    known = {(database.system_identifier, database.oid) for database in parameters.protection.databases}
    if row is None or (str(row[0]), str(row[1])) in known:
        raise refused_database(parameters.name)
