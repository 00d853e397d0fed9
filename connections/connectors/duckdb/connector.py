"""The DuckDB connector."""

from __future__ import annotations

from connections.connectors.duckdb import datatypes, driver, introspection
from connections.connectors.duckdb.dialect import DIALECT
from connections.sdk.capabilities import Cap
from connections.sdk.connector import SqlConnector

CONNECTOR = SqlConnector(
    kind="duckdb",
    package="connections.connectors.duckdb",
    capabilities=Cap.DISCOVER | Cap.READ | Cap.WRITE,
    dialect=DIALECT,
    datatypes=datatypes,
    introspector=introspection,
    connect=driver.connect,
)
