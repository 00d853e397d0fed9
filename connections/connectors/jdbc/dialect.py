"""SQL text for a system that only its JDBC driver knows: the standard, nothing more."""

from __future__ import annotations

from connections.sdk.sql.dialect import Dialect


class JdbcDialect(Dialect):
    name = "jdbc"


DIALECT = JdbcDialect()
