"""SQL dialect of Snowflake: standard SQL, until there is a connector that reads or writes."""

from __future__ import annotations

from connections.sdk.sql.dialect import Dialect


class SnowflakeDialect(Dialect):
    name = "snowflake"
    max_identifier = 255
    identifier_unit = "characters"
    default_schema = "PUBLIC"


DIALECT = SnowflakeDialect()
