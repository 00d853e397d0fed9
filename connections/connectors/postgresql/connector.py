"""The PostgreSQL connector."""

from __future__ import annotations

from connections.connectors.postgresql import datatypes, driver, introspection
from connections.connectors.postgresql.dialect import DIALECT
from connections.sdk.capabilities import Cap
from connections.sdk.connector import SqlConnector

CONNECTOR = SqlConnector(
    kind="postgresql",
    package="connections.connectors.postgresql.copy",
    capabilities=Cap.DISCOVER | Cap.READ | Cap.WRITE,
    dialect=DIALECT,
    datatypes=datatypes,
    introspector=introspection,
    connect=driver.connect,
)
