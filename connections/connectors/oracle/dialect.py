"""SQL dialect of Oracle: names of 128 bytes without double quotes, DATE with a time of day; DDL commits implicitly.

MAX() as text and comparisons rely on the session's NLS formats, which the driver sets to ISO form. A schema is a user,
so the staging schema must exist.
"""

from __future__ import annotations

from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.schema import TableName
from connections.sdk.sql.grammar import Grammar
from connections.sdk.sql.merge import MergingDialect
from connections.sdk.sql.row_identity import Names
from connections.sdk.sql.watermark_timestamps import Timestamp
from connections.sdk.types import DataType, Kind

# number of hashes of 32 characters that fit into one text
_HASHES = 100


class OracleDialect(MergingDialect):
    name = "oracle"
    grammar = Grammar(
        sqlglot="oracle",
        clauses=frozenset({"CONNECT BY", "MINUS", "MODEL", "PIVOT", "QUALIFY", "UNPIVOT"}),
        select_unique=True,
    )
    transactional = False
    truncates = False
    text_type = "varchar2(4000)"
    system_columns = frozenset({"ROWID"})

    def quote(self, identifier: str) -> str:
        if '"' in identifier:
            raise ConfigurationInvalid(
                f"{identifier!r} cannot be a name in oracle.", hint="Oracle allows no double quote in a name."
            )
        return super().quote(identifier)

    def temporal(self, value: str, data_type: DataType) -> str:
        kind = data_type.kind
        timestamp = Timestamp.parse(value)
        if kind is Kind.TIME or timestamp is None:
            # there is no TIME type: such a column is text
            return self.string(value)
        if kind is Kind.DATE:
            return f"DATE {self.string(value)}"
        if kind is Kind.TIMESTAMPTZ:
            return f"TIMESTAMP {self.string(timestamp.text(9) + ' ' + (timestamp.offset or '+00:00'))}"
        if data_type.native.upper() == "DATE":
            # a comparison with a TIMESTAMP would convert the column, and not use its index; DATE has whole seconds
            return f"TO_DATE({self.string(timestamp.text(0))}, 'YYYY-MM-DD HH24:MI:SS')"
        return f"TIMESTAMP {self.string(timestamp.text(9))}"

    def create_schema(self, schema: str) -> str:
        return ""

    def drop_table(self, table: TableName) -> str:
        # IF EXISTS exists since 23ai; ORA-00942 means that the table does not exist
        drop = self.string(f"DROP TABLE {self.qualified(table)} PURGE")
        return f"BEGIN EXECUTE IMMEDIATE {drop}; EXCEPTION WHEN OTHERS THEN IF SQLCODE != -942 THEN RAISE; END IF; END;"

    def begin_publish(self, table: TableName, *, lock_seconds: float) -> tuple[str, ...]:
        # this lock does not block readers
        return (f"LOCK TABLE {self.qualified(table)} IN EXCLUSIVE MODE WAIT {max(1, int(lock_seconds))}",)

    def lock_rows(self, *, shared: bool = False) -> str:
        return " FOR UPDATE"

    def row_text(self, columns: Names, prefix: str) -> str:
        # a hash of each value, because its text would depend on NLS settings and be limited to 4000 bytes
        names = (f"{prefix}.{self.quote(c)}" for c in columns)
        texts = [f"CASE WHEN {n} IS NULL THEN 'N' ELSE {_hash(n)} END" for n in names]
        while len(texts) > _HASHES:
            groups = (texts[first : first + _HASHES] for first in range(0, len(texts), _HASHES))
            texts = [_hash(" || ".join(group)) for group in groups]
        return " || ".join(texts)


def _hash(value: str) -> str:
    return f"RAWTOHEX(STANDARD_HASH({value}, 'MD5'))"


DIALECT = OracleDialect()
