"""Detection of connections to Pipekit's metadata, by its tables and by the identity of server and database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from connections.sdk.errors import PermissionDenied, QueryInvalid
from connections.sdk.files.protection import METADATA_TABLES, refused_database
from connections.sdk.parameters import ConnectionParameters

_QUERIES = Path(__file__).with_name("queries")
IS_METADATA = (
    (_QUERIES / "is_metadata.sql")
    .read_text()
    .format(tables="{" + ",".join(METADATA_TABLES) + "}", count=len(METADATA_TABLES))
)
SERVER_DATABASE = (_QUERIES / "server_database.sql").read_text()

# errors of SERVER_DATABASE on a server that lacks the function or does not permit its use; the metadata is then
# detected by its tables alone, which requires no privileges
UNIDENTIFIED = (PermissionDenied, QueryInvalid)


def check_metadata(row: Sequence[Any] | None, parameters: ConnectionParameters) -> None:
    """Raise Protected if ``row``, the result of IS_METADATA, is true or missing."""
    if row is None or row[0] is not False:
        raise refused_database(parameters.name)


def check_server_database(row: Sequence[Any] | None, parameters: ConnectionParameters) -> None:
    """Raise Protected if ``row``, the result of SERVER_DATABASE, is a protected database or missing."""
    known = {(database.system_identifier, database.oid) for database in parameters.protection.databases}
    if row is None or (str(row[0]), str(row[1])) in known:
        raise refused_database(parameters.name)
