"""Doctor's check of metadata in PostgreSQL: writable, encoding UTF-8, permission to create tables, max_connections."""

from __future__ import annotations

from django.db import connection as metadata

from connections.sdk.errors import ConfigurationInvalid
from pipekit_site.metadata import url

# a run uses two, a web request one, and the server reserves some
_MIN_CONNECTIONS = 30


def metadata_server() -> str:
    """Check the server and the database of the metadata."""
    place = url.shown(metadata.settings_dict)
    with metadata.cursor() as cursor:
        cursor.execute(
            """
            SELECT current_setting('transaction_read_only') = 'on', current_setting('server_encoding'),
                   has_schema_privilege(current_schema(), 'CREATE'), current_setting('max_connections')::int
            """
        )
        read_only, encoding, may_create, max_connections = cursor.fetchone()
    if read_only:
        raise ConfigurationInvalid(f"{place} is read-only.", hint="Name the primary server in `database`.")
    if encoding != "UTF8":
        raise ConfigurationInvalid(
            f"{place} has the encoding {encoding}, which cannot store all texts.",
            hint="Move the metadata to a database created with ENCODING 'UTF8'.",
        )
    if not may_create:
        raise ConfigurationInvalid(
            f"{place}: the user may not create tables, so the next version could not be installed.",
            hint="GRANT CREATE ON SCHEMA public TO the user, or make it the database's owner.",
        )
    if max_connections < _MIN_CONNECTIONS:
        raise ConfigurationInvalid(
            f"{place} allows only {max_connections} connections; each run uses two.", hint="Raise max_connections."
        )
    version = ".".join(map(str, metadata.get_database_version()))
    return f"{place}, PostgreSQL {version}, at most {max_connections} connections"
