"""SQL dialect of PostgreSQL: names of 63 bytes, folded to lower case; UNLOGGED staging tables; transactional DDL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from connections.connectors.postgresql.url_syntax import search_path
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from connections.sdk.sql.grammar import Grammar
from connections.sdk.sql.publishing import NO_COLLATIONS, PublishingDialect
from connections.sdk.sql.row_identity import Names
from connections.sdk.types import DataType, Kind

# first key of the advisory lock that publishes of the same table take
PUBLISHING = 1886415723
_NULLS_NOT_DISTINCT_SINCE = 150000
_RETURNS_OLD_SINCE = 180000


class PostgresqlDialect(PublishingDialect):
    name = "postgresql"
    grammar = Grammar(
        sqlglot="postgres",
        array_literals=True,
        clauses=frozenset({"LIMIT"}),
        reserved=frozenset({"COLLATION"}),
    )
    max_identifier = 63
    placeholder = "%s"
    folds_to = "lower"
    default_schema = "public"
    has_unlogged = True
    row_ids = ("ctid",)
    system_columns = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})

    def for_connection(self, parameters: ConnectionParameters) -> Self:
        schemas = [schema for schema in map(_folded, search_path(parameters).split(",")) if schema not in ("", "$user")]
        if not schemas:
            return self
        dialect = type(self)()
        dialect.default_schema = schemas[0]
        return dialect

    def temporal(self, value: str, data_type: DataType) -> str:
        words = {Kind.DATE: "date", Kind.TIME: "time", Kind.TIMESTAMP: "timestamp", Kind.TIMESTAMPTZ: "timestamptz"}
        return f"{self.string(value)}::{words[data_type.kind]}"

    def create_table(
        self,
        table: TableName,
        columns: list[tuple[str, str]],
        *,
        scratch: bool = False,
        collations: Mapping[str, str] = NO_COLLATIONS,
    ) -> str:
        text = super().create_table(table, columns, collations=collations)
        return text.replace("CREATE TABLE", "CREATE UNLOGGED TABLE", 1) if scratch else text

    def create_unique(
        self, table: TableName, columns: Names, *, version: int = 0, named_for: TableName | None = None
    ) -> str:
        # before version 15 NULLs in an index are never equal; keys with NULLs then need the slower null-safe statements
        nulls = " NULLS NOT DISTINCT" if self.unique_includes_null(version) else ""
        return super().create_unique(table, columns, named_for=named_for) + nulls

    def tells_upserted(self, version: int) -> bool:
        return version >= _RETURNS_OLD_SINCE

    def counted_upsert(self, table: TableName, staging: TableName, columns: Names, key: Names) -> str:
        # a column of the key, which is not NULL in rows that exist
        existed = f"old.{self.quote(key[0])} IS NOT NULL"
        return (
            f"WITH written AS (\n{self.upsert(table, staging, columns, key)}\nRETURNING {existed} AS existed)\n"
            "SELECT count(*), count(*) FILTER (WHERE existed) FROM written"
        )

    def unique_includes_null(self, version: int) -> bool:
        return version >= _NULLS_NOT_DISTINCT_SINCE

    def begin_publish(self, table: TableName, *, lock_seconds: float) -> tuple[str, ...]:
        return (
            f"SET LOCAL lock_timeout = {int(lock_seconds * 1000)}",
            "SET LOCAL idle_in_transaction_session_timeout = '60s'",
            f"SELECT pg_advisory_xact_lock({PUBLISHING}, {self._lock_number(table)})",
        )

    def lock_against_alter(self, table: TableName, *, writing: bool) -> str:
        # the lock mode of the statements that follow, so that it cannot cause additional deadlocks
        return f"LOCK TABLE {self.qualified(table)} IN {'ROW EXCLUSIVE' if writing else 'ACCESS SHARE'} MODE"

    def run_deferred(self) -> str:
        return "SET CONSTRAINTS ALL IMMEDIATE"

    def with_identity_values(self) -> PublishingDialect:
        return _IdentityValues()

    def set_lock_timeout(self, *, lock_seconds: float) -> tuple[str, ...]:
        return (f"SET lock_timeout = {int(lock_seconds * 1000)}",)

    def lock_holders(self, table: TableName) -> str:
        return (
            "SELECT format('process %s (%s, user %s, %s; %s)', a.pid,"
            " coalesce(nullif(a.application_name, ''), 'no application name'), a.usename,"
            " coalesce(a.state, 'state unknown'), string_agg(DISTINCT l.mode, ', '))\n"
            "FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid\n"
            "WHERE l.granted AND l.pid <> pg_backend_pid() AND a.datname = current_database()\n"
            f"AND (l.relation = to_regclass({self.string(self.qualified(table))}) OR (l.locktype = 'advisory'"
            # pg_locks shows both keys of an advisory lock as unsigned integers
            f" AND l.classid::bigint = {PUBLISHING}"
            f" AND l.objid::bigint = {self._lock_number(table)}::bigint & {2**32 - 1}))\n"
            "GROUP BY a.pid, a.application_name, a.usename, a.state\n"
            "ORDER BY bool_or(l.mode = 'AccessExclusiveLock') DESC, bool_and(l.mode = 'AccessShareLock'), a.pid"
        )

    def _lock_number(self, table: TableName) -> str:
        """Return an expression for the second key of the advisory lock; two tables may share a number."""
        name = self.string(table.table)
        schema = self.string(table.schema) if table.schema else schema_of_table(name)
        return f"hashtext(concat({schema}, '.', {name}))"

    def analyze(self, table: TableName) -> str:
        return f"ANALYZE {self.qualified(table)}"

    def rows_by_statistics(self, table: TableName) -> str:
        # before version 14 it is 0 for a table without statistics
        name = self.string(self.qualified(table))
        return f"SELECT CASE reltuples WHEN 0 THEN -1 ELSE reltuples END FROM pg_class WHERE oid = to_regclass({name})"

    def row_text(self, columns: Names, prefix: str) -> str:
        # the text of a record quotes values and distinguishes NULL from ''; columns may have different collations
        return f'CAST(ROW({self.columns(columns, prefix=prefix + ".")}) AS text) COLLATE "C"'

    def lock_rows(self, *, shared: bool = False) -> str:
        return " FOR SHARE" if shared else " FOR UPDATE"


class _IdentityValues(PostgresqlDialect):
    """The dialect whose INSERTs write columns that are GENERATED ALWAYS AS IDENTITY."""

    def insert_into(self, table: TableName, columns: Names) -> str:
        return f"{super().insert_into(table, columns)} OVERRIDING SYSTEM VALUE"


def _folded(name: str) -> str:
    name = name.strip()
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def schema_of_table(name: str) -> str:
    """Return an expression for the schema of a table that is named without one; ``name`` is an expression, too."""
    return (Path(__file__).with_name("queries") / "schema_of_table.sql").read_text().format(name=name)


DIALECT = PostgresqlDialect()
