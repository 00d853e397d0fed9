"""DB2 for i's SQL text: 128-byte names, folding to upper case, date literals that every release takes.

Db2 for i has no zone type: a timestamp with an offset is written in UTC, the zone of every Pipekit session.
"""

from __future__ import annotations

from connections.sdk.sql.dialect import Dialect
from connections.sdk.sql.temporal import Timestamp
from connections.sdk.sql.types import DataType, Kind


class As400Dialect(Dialect):
    name = "as400"
    sqlglot = "db2i"
    placeholder = "?"

    def temporal(self, value: str, data_type: DataType) -> str:
        # plain strings compare with DATE, TIME and TIMESTAMP columns on every release and whatever the job's
        # *DATFMT says, as long as they are in ISO or IBM form; the TIMESTAMP '...' constant came with 7.1
        if data_type.kind is Kind.TIME:
            # TIME has whole seconds
            return self.string(value[:8].replace(":", "."))
        timestamp = Timestamp.parse(value)
        if data_type.kind is Kind.DATE or timestamp is None:
            return self.string(value)
        local = timestamp.utc()
        return self.string(f"{local.date}-{local.time.replace(':', '.')}.{local.fraction[:12].ljust(6, '0')}")


DIALECT = As400Dialect()
