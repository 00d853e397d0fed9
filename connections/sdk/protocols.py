"""The protocols that a connector implements. None of them needs to be inherited from.

A connector is one package, ``connections/connectors/<kind>/`` or that of an entry point. It contains ``connector.yaml``
(the manifest, see `connections.sdk.manifest`), ``dialect.py`` (``DIALECT``, with the traits of its ``grammar``),
``datatypes.py`` (``parse``, ``render``), ``url_syntax.py`` if its URLs have a syntax of their own (``read``, ``write``)
and, depending on the manifest's capabilities, ``driver.py`` (``connect``), ``introspection.py`` (Introspector),
``reader.py`` (Reader) and ``writer.py`` (Writer). ``connector.py`` combines them as ``CONNECTOR``, the manifest's
``entrypoint``. Drivers connect and generate no SQL; dialects generate SQL and do not connect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from connections.sdk.capabilities import Cap
from connections.sdk.claim import Claim
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.records import dataclass
from connections.sdk.schema import Column, ColumnInfo, TableInfo, TableName
from connections.sdk.sql.dialect import Dialect
from connections.sdk.sql.equality import Equality
from connections.sdk.sql.foreign_keys import ForeignKey
from connections.sdk.types import DataType, Rendered

if TYPE_CHECKING:
    import pyarrow as pa

# seconds after which a system that delivers nothing times out even if it reports that it is busy
MAX_BUSY_SECONDS = 86400.0


class Session(Protocol):
    """An open connection for control SQL, not for bulk rows. Used by one thread and closed by the code that opened it.

    Outside ``transaction()`` each statement is committed by itself. Errors of the driver are raised as `PipekitError`,
    with the original as cause. ``server_version`` is the version number as the system reports it, 0 where nothing
    depends on it.
    """

    server_version: int

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Execute one statement. Return the number of affected rows, -1 where the system does not report it.

        Without parameters the text is sent unchanged: a ``%`` in it needs no escaping. With parameters it does, also in
        names, for systems whose placeholder is ``%s``.
        """
        ...

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute one query with a small result and return all its rows, in the system's order."""
        ...

    def fetch_read_only(self, query: str) -> tuple[Any, ...] | None:
        """Execute one query read-only and return its first row, or None when it returns no rows.

        The system itself enforces this: the query can neither turn it off nor add a second statement. Raises
        QueryInvalid or PermissionDenied for a query that writes or contains several statements.
        """
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Return a context manager that commits at its end and rolls back on an exception. Cannot be nested."""
        ...

    def cancel(self) -> None:
        """Request that the running statement stops. May be called from another thread or a signal handler.

        Without a running statement, and after `close`, it has no effect.
        """
        ...

    def close(self) -> None:
        """Close the connection. Calling it again has no effect."""
        ...


class Introspector(Protocol):
    """Reads the system's catalogue over an open session. Never writes. Returns columns by position, names sorted."""

    def describe_query(self, session: Session, query: str) -> tuple[ColumnInfo, ...]:
        """Return the result columns of ``query``, named as the system reports them, without reading its rows.

        Raises QueryInvalid, TableMissing, ColumnMissing or PermissionDenied with the system's message as detail.
        """
        ...

    def describe_table(self, session: Session, table: TableName) -> TableInfo | None:
        """Return the description of a table or view, None when there is none of exactly this name."""
        ...

    def may_change_written_rows(self, session: Session, table: TableName) -> bool:
        """Return whether something about the table, such as a trigger or a rule, may change what is written."""
        ...

    def foreign_keys(self, session: Session, table: TableName) -> tuple[ForeignKey, ...]:
        """Return the foreign keys that reference the table or its partitions, and so are affected by a DELETE."""
        ...

    def conflicting_object(self, session: Session, table: TableName) -> str:
        """Return the kind of object (sequence, type, ...) whose name prevents creating the table; empty for none."""
        ...

    def similar_tables(self, session: Session, table: TableName) -> tuple[TableName, ...]:
        """Return the tables whose names differ from ``table`` only in case, quotes or brackets."""
        ...

    def similar_schemas(self, session: Session, schema: str) -> tuple[str, ...]:
        """Return the other schemas whose names differ from ``schema`` only in case, quotes or brackets."""
        ...

    def has_schema(self, session: Session, schema: str) -> bool:
        """Return whether the schema exists. Creating a schema needs privileges that using an existing one does not."""
        ...

    def has_type(self, session: Session, native: str) -> bool:
        """Return whether the database has a type of this name. Called only for types that are not built in."""
        ...


class Batches(Protocol):
    """A stream of Arrow batches, bounded in bytes and rows. Can be iterated once; ``close`` releases the source.

    ``rows`` is the number of rows delivered so far. After the last batch the writer's count is checked against it.
    """

    schema: pa.Schema
    rows: int

    def __iter__(self) -> Iterator[pa.RecordBatch]: ...

    def close(self) -> None: ...

    def is_busy(self) -> bool:
        """Return whether the system is executing the query, while the consumer waits for the next batch.

        Called from another thread; may take as long as opening a connection. A system that runs inside this process is
        always busy. One that does not report it counts as busy while it accepts new connections.
        """
        ...


class Reader(Protocol):
    """Reads the rows of a query into Arrow batches. Used only inside jrunner."""

    def read(
        self, parameters: ConnectionParameters, query: str, columns: Sequence[Column], *, batch_bytes: int
    ) -> Batches:
        """Return the result of the query as batches with one field per column, in order, named ``dest_name``.

        Field types are ``to_arrow(column.data_type)``, the type of the destination column. The reader converts values
        to it exactly, or raises InvalidValue with the column and the value; it never rounds or truncates. The text of
        the query is sent unchanged. The whole read uses one snapshot, where the system has snapshots.
        """
        ...


class ReadAgain(Exception):
    """Raised while iterating over `Batches`; the caller rolls back what was written and reads again with ``reader``.

    Readers first use the fastest method, which is not exact for some values. Each further reader handles more of them,
    so the number of retries is bounded. Not an error: it is never shown to a user. ``why`` is for the log.
    """

    def __init__(self, reader: Reader, why: str) -> None:
        super().__init__(why)
        self.reader = reader
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteTarget:
    """What a writer writes to: an existing table, by the columns in the order of the batches' fields.

    With ``clear`` its rows are deleted first. With ``claim`` rows are written only while the run holds the claim.
    ``freeze``, only with ``clear``, means that the table will take the place of another: where the system can do that,
    its rows are written as visible to transactions that began before.
    """

    parameters: ConnectionParameters
    table: TableName
    columns: Sequence[Column]
    clear: bool = False
    freeze: bool = False
    claim: Claim | None = None


class Writer(Protocol):
    """Appends Arrow batches to an existing table, in one transaction of its own. Used only inside jrunner.

    ``works_here``: the system is not a server but a library in this process, so that it is busy whenever it does not
    wait for a batch.
    """

    works_here: bool

    def write(self, target: WriteTarget, batches: Batches) -> int:
        """Write all batches in one transaction. Return the number of rows as counted by the *system*.

        1. Check and lock the target's claim. Raises Overtaken when another run holds it.
        2. With ``clear``, delete the rows of the table.
        3. Insert the rows. Raises InvalidValue with the column and the value for one that the table cannot hold.
        4. Compare the system's count with ``batches.rows``. Raises CountMismatch when they differ.
        5. Commit. On any error the whole transaction is rolled back.
        """
        ...


class Datatypes(Protocol):
    """A connector's ``datatypes`` module."""

    def parse(self, native: str) -> DataType:
        """Return the meaning of a type that is spelled as in the system's catalogue."""
        ...

    def render(self, data_type: DataType) -> Rendered:
        """Return the type that a new column of this meaning gets."""
        ...


class TypeEquality(Protocol):
    """A connector's ``equality`` module."""

    def equality(self, session: Session, natives: Sequence[str]) -> Mapping[str, Equality]:
        """Return the equality of each type in ``natives`` that is known."""
        ...


class LocalServer(Protocol):
    """A server on this machine that a session starts when needed; a connection's options name its directory.

    ``within`` is the only directory in which Pipekit creates such servers.
    """

    @property
    def directory(self) -> str:
        """The directory as it is configured; it may be relative, or begin with ``~``."""
        ...

    def check(self, within: str) -> None:
        """Raise ConfigurationInvalid if no server can be, or be created, in the directory."""
        ...

    def is_running(self, within: str) -> bool:
        """Return whether the server runs, without starting it. Raise ConfigurationInvalid as `check`."""
        ...


class Connector(Protocol):
    """The parts of a connector. Attributes that its capabilities do not cover are None."""

    kind: str
    capabilities: Cap
    dialect: Dialect
    datatypes: Datatypes
    introspector: Introspector
    reader: Reader | None
    writer: Writer | None

    def connect(self, parameters: ConnectionParameters) -> Session:
        """Open a session for control SQL.

        Raises ConnectionFailed, AuthenticationFailed, DatabaseMissing, UrlInvalid or DriverMissing, whose messages
        contain no secrets.
        """
        ...
