"""The duckdb connector, put together. Reader and writer load their libraries only when jrunner asks for them."""

from __future__ import annotations

from connections.connectors.duckdb import datatypes, driver, introspection
from connections.connectors.duckdb.dialect import DIALECT
from connections.sdk.capabilities import Cap
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Reader, Session, Writer


class DuckdbConnector:
    kind = "duckdb"
    capabilities = Cap.DISCOVER | Cap.READ | Cap.WRITE
    dialect = DIALECT
    datatypes = datatypes
    introspector = introspection

    @property
    def reader(self) -> Reader:
        from connections.connectors.duckdb.reader import READER

        return READER

    @property
    def writer(self) -> Writer:
        from connections.connectors.duckdb.writer import WRITER

        return WRITER

    def connect(self, parameters: ConnectionParameters) -> Session:
        return driver.connect(parameters)


CONNECTOR = DuckdbConnector()
