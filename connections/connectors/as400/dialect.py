"""SQL dialect of DB2 for i: names of 128 bytes, folded to upper case; date literals that every release accepts.

DB2 for i has no timestamps with time zone: they are written in UTC, the time zone of all of Pipekit's sessions.
"""

from __future__ import annotations

from connections.sdk.sql.dialect import Dialect
from connections.sdk.sql.grammar import Grammar
from connections.sdk.sql.watermark_timestamps import Timestamp
from connections.sdk.types import DataType, Kind


class As400Dialect(Dialect):
    name = "as400"
    grammar = Grammar(
        name_signs=True,
        clauses=frozenset({"CONNECT BY", "LIMIT", "OPTIMIZE FOR", "QUERYNO", "WITH ISOLATION"}),
        union_loses_names=True,
    )
    placeholder = "?"

    def temporal(self, value: str, data_type: DataType) -> str:
        # strings in ISO or IBM form can be compared with DATE, TIME and TIMESTAMP columns on every release, whatever
        # the job's *DATFMT; TIMESTAMP '...' exists since 7.1
        if data_type.kind is Kind.TIME:
            # TIME has no fractional seconds
            return self.string(value[:8].replace(":", "."))
        timestamp = Timestamp.parse(value)
        if data_type.kind is Kind.DATE or timestamp is None:
            return self.string(value)
        local = timestamp.utc()
        return self.string(f"{local.date}-{local.time.replace(':', '.')}.{local.fraction[:12].ljust(6, '0')}")


DIALECT = As400Dialect()
