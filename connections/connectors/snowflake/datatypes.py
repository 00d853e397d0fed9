"""Types of Snowflake, as JDBC names them, until there is a connector that reads its catalogue."""

from __future__ import annotations

from connections.connectors.jdbc.datatypes import parse, render

__all__ = ["parse", "render"]
