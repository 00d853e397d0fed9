"""The Django app `modules`; registers the check whether a connection is a destination."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from connections.models import Connection


class ModulesConfig(AppConfig):
    name = "modules"

    def ready(self) -> None:
        from connections.models import Connection

        Connection.destination_checks.append(_has_writers)


def _has_writers(connection: Connection) -> bool:
    """Return whether any module has the connection as its destination."""
    return connection.dest_modules.exists()
