"""Connections in a configuration file. Their passwords are references; nothing else of a secret is stored at all."""

from __future__ import annotations

from connections.configuring.sections import Section
from connections.models import Connection

CONNECTIONS = Section(
    name="connections",
    model=Connection,
    fields=("driver", "jdbc_url", "username", "password", "supports_deletes", "options", "max_parallel"),
    shown_by={"driver": "kind"},
)
