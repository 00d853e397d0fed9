"""Admin of the connections app, in modules by model; Django's autodiscovery imports this package."""

from __future__ import annotations

from connections.admin import connection as connection
