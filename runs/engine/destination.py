"""The destination of a run: an open session with its dialect.

No statement waits for a lock longer than the plan's lock_timeout. The error of a lock timeout names the sessions that
hold the lock; they are not terminated.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.claim import Claim
from connections.sdk.errors import LockTimeout, PipekitError
from connections.sdk.protocols import Session
from connections.sdk.schema import ColumnInfo, TableInfo, TableName
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.sql.type_validation import is_type
from runs.engine import control_tables
from runs.engine.plan import Plan
from runs.engine.sessions import for_plan, open_session

# lock holders that are named in an error
_NAMED = 5


class Destination:
    """The destination of a plan, with an open session.

    ``dialect`` is that of the connection, ``table`` the table that the module fills, ``staging`` its staging table,
    which is another one if that is filled to take the place of ``table`` (see `TableExchange.beside`).
    """

    def __init__(self, plan: Plan, session: Session) -> None:
        self.plan, self.session = plan, session
        self.dialect = cast(PublishingDialect, registry.dialect_for(plan.destination))
        self.datatypes = registry.datatypes(plan.destination.kind)
        self.introspector = registry.connector(plan.destination.kind).introspector
        self.table = plan.dest_table
        self.staging = self.dialect.staging_table(plan.module)

    @classmethod
    @contextmanager
    def open(cls, plan: Plan) -> Iterator[Destination]:
        """Open a session for the block. Raises LockTimeout with the names of the lock's holders."""
        with open_session(for_plan(plan.destination, dry_run=plan.dry_run), Cap.WRITE) as session:
            dest = cls(plan, session)
            for sql in dest.dialect.set_lock_timeout(lock_seconds=plan.lock_timeout):
                session.execute(sql)
            try:
                yield dest
            except LockTimeout as error:
                dest._name_holders(error)
                raise

    def describe(self, table: TableName) -> TableInfo | None:
        """Return the description of a table or view, None when there is none of exactly this name."""
        return self.introspector.describe_table(self.session, table)

    def type_in_ddl(self, column: ColumnInfo) -> str:
        """Return the type of an existing column, for DDL: as reported if it is a valid type, else an equivalent one."""
        if not column.native_type or is_type(column.native_type):
            return column.native_type
        return self.datatypes.render(column.data_type).native

    def count(self, table: TableName) -> int:
        """Return the number of rows of the table."""
        return self.fetch_int(self.dialect.count(table))

    def fetch_int(self, sql: str) -> int:
        """Return the first value of the query's first row, an integer."""
        return int(self.session.fetch(sql)[0][0])

    def may_change_written_rows(self) -> bool:
        """Return whether the module's table has something, such as a trigger, that may discard or add rows."""
        return self.introspector.may_change_written_rows(self.session, self.table)

    def missing_schema(self, schema: str) -> str:
        """Return the statement that creates the schema; empty if it exists, or if the system has no schemas.

        Its existence is checked, because CREATE SCHEMA IF NOT EXISTS requires the privilege to create even if there is
        nothing to do.
        """
        if not schema or self.introspector.has_schema(self.session, schema):
            return ""
        return self.dialect.create_schema(schema)

    def create_schema(self, schema: str) -> str:
        """Create the schema if it does not exist; return the statement that was executed, or an empty string.

        Outside the publish transaction, so that no other session waits. After a failure its existence is checked again,
        because one of two concurrent statements fails in spite of IF NOT EXISTS.
        """
        sql = self.missing_schema(schema)
        if not sql:
            return ""
        try:
            self.session.execute(sql)
        except PipekitError:
            if not self.introspector.has_schema(self.session, schema):
                raise
            return ""
        return sql

    def staging_claim(self) -> Claim:
        """Return the run's claim on the module's staging table, to be checked by each transaction that writes to it."""
        return control_tables.staging_claim(self.dialect, self.plan, shared=True)

    def begin(self, table: TableName) -> None:
        """Execute the first statements of a transaction: lock timeouts, and a lock on the table against publishes."""
        for sql in self.dialect.begin_publish(table, lock_seconds=self.plan.lock_timeout):
            self.session.execute(sql)

    def _name_holders(self, error: LockTimeout) -> None:
        for table in (self.table, self.staging, control_tables.claims_table(self.dialect)):
            if not (sql := self.dialect.lock_holders(table)):
                return
            try:
                holders = self.session.fetch(sql)
            except PipekitError:
                # the original error is raised without the names
                return
            if holders:
                named = "; ".join(str(holder) for (holder,) in holders[:_NAMED])
                error.reword(f"{error.message} — locks on {table} are held by {named}.")
                return
