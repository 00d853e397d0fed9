"""The admin of drivers and connections."""

from __future__ import annotations

from connections.admin import connection as connection
