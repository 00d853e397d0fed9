"""SQL dialect for any system with a JDBC driver: standard SQL only."""

from __future__ import annotations

from connections.sdk.sql.dialect import Dialect


class JdbcDialect(Dialect):
    name = "jdbc"


DIALECT = JdbcDialect()
