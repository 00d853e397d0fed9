"""Roles and access rules of an embedded server: connections log in as an ordinary role, administration as superuser.

Peer authentication admits only the system user that Pipekit runs as. The superuser needs a password instead, which is
kept in the data directory and cannot be named by a connection.
"""

from __future__ import annotations

import secrets
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from connections.embedded_postgresql import directory_checks
from connections.embedded_postgresql.cluster import Cluster
from connections.embedded_postgresql.directory_checks import MARKER
from connections.embedded_postgresql.system_user import client_name, system_user

if TYPE_CHECKING:
    import psycopg

# the role of connections; it owns the databases and everything in them
ROLE = "pipekit"
_SUPERUSER = "postgres"
_PASSWORD = ".superuser"
_STATEMENTS = files("connections.embedded_postgresql")
_HBA = f"""\
# Written by Pipekit at each start.
local all {_SUPERUSER} scram-sha-256
local all all peer map=pipekit
"""


def write_access(cluster: Cluster) -> None:
    """Write pg_hba.conf and pg_ident.conf, and give the superuser a password if it has none. No server may run."""
    cluster.write("pg_hba.conf", _HBA)
    cluster.write("pg_ident.conf", f'# Written by Pipekit at each start.\npipekit "{client_name()}" all\n')
    if not cluster.read(_PASSWORD):
        password = secrets.token_urlsafe(24)
        command = f"ALTER ROLE {_SUPERUSER} WITH LOGIN PASSWORD '{password}'\n"
        cluster.run("postgres", "--single", "-D", cluster.server_path, "postgres", text=command)
        cluster.write(_PASSWORD, password)


def prepare(cluster: Cluster) -> None:
    """Create the ordinary role and make it the owner of all databases, in a new directory or an older version's."""
    if cluster.is_prepared:
        return
    with _superuser(cluster, "postgres") as connection:
        connection.execute(_statement("create_role"))
        databases = connection.execute(
            "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate"
        ).fetchall()
    for (database,) in databases:
        with _superuser(cluster, database) as connection:
            connection.execute(_statement("change_owner"))
    cluster.write(MARKER, "1\n")


def superuser_settings(directory: str | Path) -> dict[str, str]:
    """Return libpq parameters for a superuser's session, for administration only, never for a connection."""
    with Cluster.opened(directory_checks.real(directory), system_user()) as cluster:
        return _settings(cluster)


def _settings(cluster: Cluster) -> dict[str, str]:
    return {
        "host": cluster.client_directory(),
        "port": "5432",
        "dbname": "postgres",
        "user": _SUPERUSER,
        "password": cluster.read(_PASSWORD),
    }


def _superuser(cluster: Cluster, database: str) -> psycopg.Connection[tuple[Any, ...]]:
    # imported late: needed only once per data directory
    import psycopg

    settings: dict[str, Any] = {**_settings(cluster), "dbname": database}
    return psycopg.connect(**settings, autocommit=True)


def _statement(name: str) -> Any:
    return cast(Any, (_STATEMENTS / f"{name}.sql").read_text())
