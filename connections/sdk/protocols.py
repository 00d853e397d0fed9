"""What a connector is made of: small Protocols, one job each. Nothing needs to be inherited.

A connector package ``connections/connectors/<kind>/`` has ``connector.yaml`` (manifest), ``dialect.py`` (``DIALECT``),
``datatypes.py`` (``parse``, ``render``) and, as far as its manifest's capabilities say, ``driver.py`` (``connect``),
``introspection.py`` (Introspector), ``reader.py`` (Reader) and ``writer.py`` (Writer); ``connector.py`` puts them
together as ``CONNECTOR``. Drivers connect and never make SQL; dialects make SQL and never connect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from connections.sdk.capabilities import Cap
from connections.sdk.claim import Claim
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import Column, ColumnInfo, TableInfo, TableName
from connections.sdk.sql.dialect import Dialect
from connections.sdk.sql.foreign_keys import ForeignKey
from connections.sdk.sql.types import DataType, Rendered

if TYPE_CHECKING:
    import pyarrow as pa


class Session(Protocol):
    """One open connection for control SQL (never for bulk rows). Used by one thread; whoever opened it closes it.

    Outside ``transaction()`` each statement commits by itself. Driver errors leave as `PipekitError`s, cause kept.
    ``server_version`` is the system's own number for it, 0 where nothing depends on it.
    """

    server_version: int

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run one statement; return the number of rows it touched, -1 where the system does not say.

        Without parameters the text goes to the system untouched (a ``%`` in it is only a ``%``).
        """
        ...

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one query and return all its rows, in the system's order; for small results."""
        ...

    def fetch_read_only(self, query: str) -> tuple[Any, ...] | None:
        """Run one query that only reads, and return its first row; None when it returns none.

        The system itself refuses to write: the query can neither switch that off nor bring a second statement. Raises
        QueryInvalid or PermissionDenied for one that tries.
        """
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Commit on leaving, roll back on an exception. Not nested."""
        ...

    def cancel(self) -> None:
        """Ask the system to stop the running statement; may be called from another thread or a signal handler."""
        ...

    def close(self) -> None:
        """Close; may be called twice."""
        ...


class Introspector(Protocol):
    """Reads the system's catalogue over an open session. Never writes; results by position, or sorted by name."""

    def describe_query(self, session: Session, query: str) -> tuple[ColumnInfo, ...]:
        """Return the result columns of ``query`` without reading a row. Names as the system reports them.

        Raises QueryInvalid, TableMissing, ColumnMissing or PermissionDenied with the system's words as detail.
        """
        ...

    def describe_table(self, session: Session, table: TableName) -> TableInfo | None:
        """Return an existing table or view, None when there is none of exactly this name."""
        ...

    def may_skip_rows(self, session: Session, table: TableName) -> bool:
        """Whether something of the table, such as a trigger or a rule, may leave out rows that are inserted."""
        ...

    def foreign_keys(self, session: Session, table: TableName) -> tuple[ForeignKey, ...]:
        """Return the enforced foreign keys that a DELETE from the table (or from its partitions) concerns."""
        ...

    def occupant(self, session: Session, table: TableName) -> str:
        """Return what else (a sequence, a type ...) has the name that a new table would need; empty for nothing."""
        ...

    def similar_tables(self, session: Session, table: TableName) -> tuple[TableName, ...]:
        """Return tables whose names differ from this one only in case, quotes or brackets."""
        ...

    def similar_schemas(self, session: Session, schema: str) -> tuple[str, ...]:
        """Return other schemas whose names differ from this one only in case, quotes or brackets."""
        ...

    def has_schema(self, session: Session, schema: str) -> bool:
        """Whether the schema exists; asked before creating one, which takes rights that using it does not."""
        ...

    def has_type(self, session: Session, native: str) -> bool:
        """Whether the database knows a type of this name; asked only for types that are not built in."""
        ...


class Batches(Protocol):
    """A stream of Arrow batches being read. Iterate once; bounded by bytes and rows; closing releases the source.

    ``rows`` counts what has been delivered; after the last batch it is the reader's trailer, against which the
    writer's count is checked.
    """

    schema: pa.Schema
    rows: int

    def __iter__(self) -> Iterator[pa.RecordBatch]: ...

    def close(self) -> None: ...

    def at_work(self) -> bool:
        """Whether the system, while the next batch is waited for, says that it is busy with the query.

        Called from another thread; may take as long as a connect. What is read in this process is at work always. A
        system that has no word for it is, as long as it takes a new connection.
        """
        ...


class Reader(Protocol):
    """Reads the rows of a query into Arrow. Runs only inside jrunner."""

    def read(
        self, parameters: ConnectionParameters, query: str, columns: Sequence[Column], *, batch_bytes: int
    ) -> Batches:
        """Open the query; batches have one field per column, in order, named ``dest_name``.

        Field types are ``to_arrow(column.data_type)``, where data_type is what the destination column means: the
        reader converts to it exactly or raises ValueMisfit naming column and example; it never rounds, cuts or guesses.
        The query's text is not changed. One snapshot covers the whole read where the system has snapshots.
        """
        ...


class Writer(Protocol):
    """Appends Arrow batches to an existing table, in one transaction of its own. Runs only inside jrunner.

    ``works_here``: the system is no server but this process, which is at work as long as it waits for no batch.
    """

    works_here: bool

    def write(
        self,
        parameters: ConnectionParameters,
        table: TableName,
        columns: Sequence[Column],
        batches: Batches,
        *,
        clear: bool = False,
        claim: Claim | None = None,
    ) -> int:
        """Write every batch and commit; return the rows as the *system* counted them.

        One transaction: ``claim`` is asked and held (Overtaken when it is another run's), with ``clear`` the table is
        emptied, the rows are written, and the system's count is compared with ``batches.rows`` (CountMismatch when
        they differ). On any error nothing of the call remains. Raises ValueMisfit naming column and example for a
        value the table cannot hold.
        """
        ...


class Datatypes(Protocol):
    """A connector's ``datatypes`` module."""

    def parse(self, native: str) -> DataType: ...

    def render(self, data_type: DataType) -> Rendered: ...


class Connector(Protocol):
    """One kind of system, put together. Attributes that its capabilities do not cover are None."""

    kind: str
    capabilities: Cap
    dialect: Dialect
    datatypes: Datatypes
    introspector: Introspector
    reader: Reader | None
    writer: Writer | None

    def connect(self, parameters: ConnectionParameters) -> Session:
        """Open a control session.

        Raises ConnectionFailed, AuthenticationFailed, DatabaseMissing, UrlInvalid or DriverMissing; each says what,
        why and what to do, and none shows a secret.
        """
        ...
