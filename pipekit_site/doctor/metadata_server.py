"""Doctor's check of metadata in PostgreSQL: that it may be written, holds any text, and has room for connections."""

from __future__ import annotations

from django.db import connection as metadata

from connections.sdk.errors import ConfigurationInvalid
from pipekit_site.metadata import url

# a run takes two, a web request one, and the server keeps some for itself
_ENOUGH_CONNECTIONS = 30


def metadata_server() -> str:
    place = url.shown(metadata.settings_dict)
    with metadata.cursor() as cursor:
        cursor.execute(
            """
            SELECT current_setting('transaction_read_only') = 'on', current_setting('server_encoding'),
                   has_schema_privilege(current_schema(), 'CREATE'), current_setting('max_connections')::int
            """
        )
        read_only, encoding, may_create, most = cursor.fetchone()
    if read_only:
        raise ConfigurationInvalid(f"{place} only reads.", hint="Name the primary server in `database`.")
    if encoding != "UTF8":
        raise ConfigurationInvalid(
            f"{place} has the encoding {encoding}, which cannot hold every text.",
            hint="Move the metadata to a database made with ENCODING 'UTF8'.",
        )
    if not may_create:
        raise ConfigurationInvalid(
            f"{place} lets this user make no tables, so the next version could not be installed.",
            hint="GRANT CREATE ON SCHEMA public TO the user, or make it the database's owner.",
        )
    if most < _ENOUGH_CONNECTIONS:
        raise ConfigurationInvalid(
            f"{place} takes {most} connections at most; a run needs two of them.", hint="Raise max_connections."
        )
    version = ".".join(map(str, metadata.get_database_version()))
    return f"{place}, PostgreSQL {version}, at most {most} connections"
