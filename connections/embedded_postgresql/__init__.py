"""An embedded PostgreSQL server: binaries from PyPI, a data directory of its own, a Unix socket; no root, no port.

The server outlives the process that started it, so that commands, the web server and cron share it; after a reboot the
first connection starts it again. Its socket is in the data directory, which only the owner may enter; connections log
in as a role that is no superuser.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import quote

from connections.embedded_postgresql import directory_checks, roles
from connections.embedded_postgresql.cluster import Cluster, create
from connections.embedded_postgresql.roles import ROLE as ROLE
from connections.embedded_postgresql.roles import superuser_settings as superuser_settings
from connections.embedded_postgresql.system_user import system_user
from connections.sdk.errors import ConnectionFailed

# raised by the system, PostgreSQL's programs, or files in an unexpected format
_ERRORS = (OSError, subprocess.SubprocessError, ValueError)


def ensure_running(directory: str | Path, *, within: str | Path | None = None) -> str:
    """Create the server in ``directory`` if missing, start it if not running, and return its postgresql:// URL.

    A new server is created only inside ``within``, unless that is None. Raises ConfigurationInvalid, before any change,
    if the directory has other contents or another owner; ConnectionFailed with the server's own message if the server
    does not start.
    """
    return f"postgresql://{ROLE}@/postgres?host={quote(socket_directory(directory, within=within))}"


def socket_directory(directory: str | Path, *, within: str | Path | None = None) -> str:
    """Do the same as ``ensure_running``, and return the path of the socket's directory, valid in this process."""
    path = directory_checks.real(directory)
    try:
        directory_checks.check(path, within)
        if not directory_checks.is_cluster(path):
            create(path, system_user())
        with Cluster.opened(path, system_user()) as cluster:
            if not cluster.is_ready():
                _start(cluster)
            return cluster.client_directory()
    except _ERRORS as error:
        raise _failed(path, "did not start", error) from error


def _failed(path: Path, what: str, error: Exception) -> ConnectionFailed:
    return ConnectionFailed(
        f"The embedded PostgreSQL in {path} {what}.",
        hint=f"Read the end of {path / 'log'}; is the disk full, or does the directory belong to another user?",
        detail=f"{error}\n{getattr(error, 'output', None) or ''}".strip(),
    )


def _start(cluster: Cluster) -> None:
    # imported late: most often the server runs already, and jrunner uses another driver
    import psycopg

    with cluster.locked():
        if cluster.runs() and cluster.is_prepared:
            cluster.wait()
            return
        # an older version's server has its socket elsewhere and accepts every login
        cluster.stop()
        roles.write_access(cluster)
        cluster.start()
        try:
            roles.prepare(cluster)
        except psycopg.Error as error:
            raise _failed(cluster.path, "did not start", error) from error


def is_running(directory: str | Path, *, within: str | Path | None = None) -> bool:
    """Return whether the server of ``directory`` runs, without starting it; False if there is none yet.

    Raises ConfigurationInvalid as ``ensure_running`` does.
    """
    path = directory_checks.real(directory)
    try:
        directory_checks.check(path, within)
        if not directory_checks.is_cluster(path):
            return False
        with Cluster.opened(path, system_user()) as cluster:
            return cluster.is_ready() or cluster.runs()
    except _ERRORS as error:
        raise _failed(path, "could not be checked", error) from error


def stop(directory: str | Path) -> bool:
    """Stop the server of ``directory`` if it runs; return whether there is one, running or not.

    Raises ConnectionFailed if it does not stop.
    """
    path = directory_checks.real(directory)
    try:
        if not directory_checks.is_cluster(path):
            return False
        with Cluster.opened(path, system_user()) as cluster, cluster.locked():
            cluster.stop()
        return True
    except _ERRORS as error:
        raise _failed(path, "could not be stopped", error) from error
