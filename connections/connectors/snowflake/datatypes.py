"""Types of Snowflake: those of the kind `jdbc`, until there is a connector that reads its catalogue."""

from __future__ import annotations

from connections.connectors.jdbc.datatypes import parse, render

__all__ = ["parse", "render"]
