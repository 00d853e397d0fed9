"""Warnings about connections whose file or local server has a relative path.

Such a path depends on the working directory of the process that opens the file: that of a command is where it was
started, while runs of a schedule, a group or the admin, and jrunner, are started in Pipekit's directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.conf import settings

from connections import registry
from connections.models import Connection
from connections.sdk.errors import PipekitError
from connections.url.parse import parse_url


def warnings(connections: Iterable[Connection]) -> Iterator[str]:
    """Yield a warning for each connection with a relative path."""
    for connection in connections:
        if path := relative_path(connection):
            yield (
                f"{connection.name}: {path} is a relative path. Commands look for it in the directory in which they"
                f" are started; jrunner, and the runs of schedules, groups and the admin, in {settings.BASE_DIR}."
                " Write the whole path."
            )


def relative_path(connection: Connection) -> str:
    """Return the path of the connection's file or local server if it is relative; empty otherwise.

    A local server's directory may also begin with ``~``.
    """
    try:
        if server := registry.local_server(connection.driver.kind, connection.options):
            return "" if server.directory.startswith(("/", "~")) else server.directory
        url = parse_url(connection.jdbc_url, connection.driver.kind)
    except PipekitError:
        # reported where the connection is saved or used
        return ""
    return url.path if url.is_file and not url.path.startswith("/") else ""
