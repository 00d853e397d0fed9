"""PostgreSQL without a server: PyPI's binaries, a data directory of ours, a Unix socket, no root, no port.

The server outlives the process that started it, so that commands, the web and cron find it running; whoever
connects starts it again after a reboot. Its socket lies in the data directory, which only its owner may enter;
connections log in as a role without a superuser's rights.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import quote

import psycopg

from connections.embedded_postgresql import place, roles
from connections.embedded_postgresql.cluster import Cluster, create
from connections.embedded_postgresql.roles import ROLE as ROLE
from connections.embedded_postgresql.roles import superuser_settings as superuser_settings
from connections.embedded_postgresql.system_user import system_user
from connections.sdk.errors import ConnectionFailed

# what the system, the programs and files that are none of ours may raise
_TROUBLES = (OSError, subprocess.SubprocessError, ValueError)


def ensure_running(directory: str | Path, *, within: str | Path | None = None) -> str:
    """Start the server of ``directory`` if it is not running (creating it when new); return its postgresql:// URL.

    A new one is made only inside ``within``, unless that is None. Raises ConfigurationInvalid, nothing touched, for a
    directory that holds something else or is another user's; ConnectionFailed with the server's own words when it does
    not start.
    """
    return f"postgresql://{ROLE}@/postgres?host={quote(socket_directory(directory, within=within))}"


def socket_directory(directory: str | Path, *, within: str | Path | None = None) -> str:
    """Do the same, and return how this process names the directory of the server's socket."""
    path = place.real(directory)
    try:
        place.check(path, within)
        if not place.is_cluster(path):
            create(path, system_user())
        with Cluster.opened(path, system_user()) as cluster:
            if not cluster.is_ready():
                _start(cluster)
            return cluster.client_directory()
    except (*_TROUBLES, psycopg.Error) as error:
        raise _failed(path, "did not start", error) from error


def _failed(path: Path, what: str, error: Exception) -> ConnectionFailed:
    return ConnectionFailed(
        f"The embedded PostgreSQL in {path} {what}.",
        hint=f"Read the end of {path / 'log'}; is the disk full, or the directory another user's?",
        detail=f"{error}\n{getattr(error, 'output', None) or ''}".strip(),
    )


def _start(cluster: Cluster) -> None:
    with cluster.locked():
        if cluster.runs() and cluster.is_prepared:
            cluster.wait()
            return
        # one that an older version started: its socket may lie anywhere, and it lets everybody in
        cluster.stop()
        roles.write_access(cluster)
        cluster.start()
        roles.prepare(cluster)


def stop(directory: str | Path) -> None:
    """Stop the server of ``directory`` if it runs. Raises ConnectionFailed when it does not end."""
    path = place.real(directory)
    try:
        if place.is_cluster(path):
            with Cluster.opened(path, system_user()) as cluster, cluster.locked():
                cluster.stop()
    except _TROUBLES as error:
        raise _failed(path, "could not be stopped", error) from error
