"""The SQLite connector."""

from __future__ import annotations

from connections.connectors.sqlite import datatypes, driver, introspection
from connections.connectors.sqlite.dialect import DIALECT
from connections.sdk.capabilities import Cap
from connections.sdk.connector import SqlConnector

CONNECTOR = SqlConnector(
    kind="sqlite",
    package="connections.connectors.sqlite",
    capabilities=Cap.DISCOVER | Cap.READ | Cap.WRITE,
    dialect=DIALECT,
    datatypes=datatypes,
    introspector=introspection,
    connect=driver.connect,
)
