"""SQL dialect of MySQL and MariaDB: `quoted` names, backslash escapes; DDL and TRUNCATE commit implicitly.

String literals require the default sql_mode, in which a backslash is an escape. Sessions run in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping

from connections.connectors.mysql.words import RESERVED, SELECT_MODIFIERS
from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.schema import TableName
from connections.sdk.sql.grammar import Grammar
from connections.sdk.sql.publishing import NO_COLLATIONS, PublishingDialect
from connections.sdk.sql.row_identity import Names, unused
from connections.sdk.sql.watermark_timestamps import Timestamp
from connections.sdk.types import DataType, Kind


class MysqlDialect(PublishingDialect):
    name = "mysql"
    grammar = Grammar(
        sqlglot="mysql",
        executable_comments=True,
        clauses=frozenset({"LIMIT", "LOCK"}),
        select_modifiers=SELECT_MODIFIERS,
        string_aliases=True,
        user_is_column=True,
        reserved=RESERVED,
    )
    quotes = ("`", "`")
    max_identifier = 64
    identifier_unit = "characters"
    folds_to = ""
    backslash_escapes = True
    transactional = False
    truncates = False
    text_type = "char"

    def quote(self, identifier: str) -> str:
        if identifier.endswith(" ") or any(ord(char) > 0xFFFF for char in identifier):
            raise ConfigurationInvalid(
                f"{identifier!r} cannot be a name in mysql.",
                hint="Choose a name without a blank at the end and without characters beyond U+FFFF, such as emoji.",
            )
        return super().quote(identifier)

    def concatenated(self, left: str, right: str) -> str:
        # || is OR
        return f"CONCAT({left}, {right})"

    def temporal(self, value: str, data_type: DataType) -> str:
        timestamp = Timestamp.parse(value)
        if data_type.kind is Kind.TIME or timestamp is None:
            return f"TIME {self.string(value[:15])}"
        if data_type.kind is Kind.DATE:
            return f"DATE {self.string(value)}"
        return f"TIMESTAMP {self.string(timestamp.utc().text(6))}"

    def create_table(
        self,
        table: TableName,
        columns: list[tuple[str, str]],
        *,
        scratch: bool = False,
        collations: Mapping[str, str] = NO_COLLATIONS,
    ) -> str:
        text = super().create_table(table, columns, collations=collations)
        if scratch:
            row = self.row_id(tuple(name for name, _ in columns))
            body = text.removesuffix("\n)")
            text = f"{body},\n  {row} bigint unsigned NOT NULL AUTO_INCREMENT INVISIBLE PRIMARY KEY\n)"
        return f"{text} ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"

    def row_id(self, columns: Names) -> str:
        # an invisible column of staging tables, because there is no built-in row id
        return unused("pipekit_row", columns)

    def begin_publish(self, table: TableName, *, lock_seconds: float) -> tuple[str, ...]:
        seconds = max(1, int(lock_seconds))
        return (f"SET SESSION innodb_lock_wait_timeout = {seconds}", f"SET SESSION lock_wait_timeout = {seconds}")

    def lock_rows(self, *, shared: bool = False) -> str:
        # MariaDB does not support FOR SHARE
        return " LOCK IN SHARE MODE" if shared else " FOR UPDATE"

    def same_key(self, key: Names, target: str, staged: str, *, null_safe: bool) -> str:
        equals = "<=>" if null_safe else "="
        return " AND ".join(f"{target}.{self.quote(k)} {equals} {staged}.{self.quote(k)}" for k in key)

    def delete_matching(self, table: TableName, staging: TableName, key: Names, *, null_safe: bool) -> str:
        # no alias, which in DELETE requires a newer server or a current database
        target = self.qualified(table)
        match = self.same_key(key, target, "s", null_safe=null_safe)
        return f"DELETE FROM {target}\nWHERE EXISTS (SELECT 1 FROM {self.qualified(staging)} s WHERE {match})"

    def delete_missing(self, table: TableName, keys: TableName, key: Names) -> str:
        target = self.qualified(table)
        match = self.same_key(key, target, "k", null_safe=False)
        return f"DELETE FROM {target}\nWHERE NOT EXISTS (SELECT 1 FROM {self.qualified(keys)} k WHERE {match})"

    def row_text(self, columns: Names, prefix: str) -> str:
        # || is OR; a hash, because sorting uses only 1024 bytes and the session's collation may ignore case
        parts = (f"CAST({prefix}.{self.quote(c)} AS {self.text_type})" for c in columns)
        quoted = (f"coalesce(concat('''', replace({p}, '''', ''''''), ''''), 'NULL')" for p in parts)
        return f"sha2(concat_ws(',', {', '.join(quoted)}), 256)"

    def upsert(self, table: TableName, staging: TableName, columns: Names, key: Names) -> str:
        # VALUES() is supported by all versions of MySQL and by MariaDB
        changed = [c for c in columns if c not in key] or list(key[:1])
        sets = ", ".join(f"{self.quote(c)} = VALUES({self.quote(c)})" for c in changed)
        return f"{self.insert_all(table, staging, columns)}\nON DUPLICATE KEY UPDATE {sets}"

    def update_matching(
        self, table: TableName, staging: TableName, columns: Names, key: Names, *, null_safe: bool
    ) -> str:
        sets = ", ".join(f"d.{self.quote(c)} = s.{self.quote(c)}" for c in columns if c not in key)
        match = self.same_key(key, "d", "s", null_safe=null_safe)
        return f"UPDATE {self.qualified(table)} AS d JOIN {self.qualified(staging)} s ON {match}\nSET {sets}"


DIALECT = MysqlDialect()
