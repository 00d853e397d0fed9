"""Access of the tests to the system under test: creates, fills, reads and writes its tables."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from typing import Any

import pyarrow as pa

from connections.sdk.claim import Claim
from connections.sdk.errors import PipekitError
from connections.sdk.protocols import ReadAgain, Reader, Session, Writer, WriteTarget
from connections.sdk.schema import Column, ColumnInfo, TableName
from connections.sdk.sql.publishing import PublishingDialect
from connections.sdk.testing.case import ConnectorUnderTest
from connections.sdk.testing.values import SAMPLES, is_same
from connections.sdk.types import DataType, Kind, to_arrow

BATCH_BYTES = 1_000_000


class MemoryBatches:
    """`Batches` of a list, with hooks: ``before`` is called with the number of each batch before it is delivered."""

    def __init__(
        self,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        before: Callable[[int], object] = lambda number: None,
    ) -> None:
        self.schema = schema
        self.rows = 0
        self._batches = list(batches)
        self._before = before

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(self._batches):
            self._before(number)
            self.rows += batch.num_rows
            yield batch
        self._before(len(self._batches))

    def close(self) -> None:
        """Do nothing: there is no source to release."""

    def is_busy(self) -> bool:
        return True


class Workbench:
    """One database of the system. Every call opens and closes a session of its own, as the processes of a run do."""

    def __init__(self, case: ConnectorUnderTest) -> None:
        self.case = case
        self.connector = case.connector
        self.parameters = case.parameters
        self.dialect = case.connector.dialect.for_connection(case.parameters)
        # a read of the test cannot be stopped: it keeps its connection and locks, and the test has failed already
        self.is_abandoned = False
        self._tables = list[TableName]()

    @property
    def reader(self) -> Reader:
        reader = self.connector.reader
        assert reader is not None, "The connector does not read."
        return reader

    @property
    def writer(self) -> Writer:
        writer = self.connector.writer
        assert writer is not None, "The connector does not write."
        return writer

    @property
    def publishing(self) -> PublishingDialect:
        assert isinstance(self.dialect, PublishingDialect), "The dialect of a destination is a PublishingDialect."
        return self.dialect

    def session(self) -> contextlib.closing[Session]:
        """Return a context manager for a session."""
        return closing(self.connector.connect(self.parameters))

    def execute(self, *statements: str) -> None:
        with self.session() as session:
            for sql in statements:
                session.execute(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.session() as session:
            return session.fetch(sql)

    def table(self, suffix: str = "") -> TableName:
        """Return the name of a table that is dropped at the end of the test."""
        name = TableName(self.case.schema, f"pipekit_test{suffix}")
        if name not in self._tables:
            self._tables.append(name)
        return name

    def native(self, kind: Kind, **more: Any) -> str:
        """Return the system's type for a column of this kind."""
        return self.connector.datatypes.render(DataType(kind=kind, **more)).native

    def create(
        self,
        columns: Sequence[tuple[str, str]],
        rows: Iterable[Sequence[Any]] = (),
        *,
        suffix: str = "",
        more: str = "",
    ) -> TableName:
        """Create a table of pairs of name and native type; ``more`` is SQL after the columns, such as a primary key.

        The rows are inserted by parameters of a statement, not by the writer; decimals, dates and times as their text.
        """
        table = self.table(suffix)
        name = self.dialect.qualified(table)
        listed = ", ".join(f"{self.dialect.quote(name)} {native}" for name, native in columns)
        marks = ", ".join([self.dialect.placeholder] * len(columns))
        with self.session() as session:
            session.execute(self._drop(table))
            session.execute(f"CREATE TABLE {name} ({listed}{more})")
            with session.transaction():
                for row in rows:
                    session.execute(f"INSERT INTO {name} VALUES ({marks})", tuple(map(_parameter, row)))
        return table

    def samples(self, rows: int = 0) -> TableName:
        """Create a table with ``n`` and a column for each sample, named by it, with its values or ``rows`` of NULL."""
        types = [self.connector.datatypes.render(sample.data_type).native for sample in SAMPLES]
        columns = [("n", self.native(Kind.BIGINT)), *zip(map(str, SAMPLES), types, strict=True)]
        values = [[None] * rows for _ in SAMPLES] if rows else self.sample_values()
        return self.create(columns, [(n, *row) for n, row in enumerate(zip(*values, strict=True))])

    def sample_values(self) -> list[list[Any]]:
        """Return the values of each sample that the system can store, filled up with NULL to the same number."""
        values = [sample.stored_by(self.case.lacks) for sample in SAMPLES]
        longest = max(map(len, values))
        return [[*some, *[None] * (longest - len(some))] for some in values]

    def stores(self, feature: str) -> bool:
        """Return whether the system returns the values of a feature, such as NaN, as they were inserted."""
        for sample in SAMPLES:
            rendered = self.connector.datatypes.render(sample.data_type)
            values = [value for needed, value in sample.needs if needed == feature and not rendered.warning]
            for value in values:
                try:
                    table = self.create([("v", rendered.native)], [(value,)], suffix="_feature")
                    ((found,),) = self.rows(f"SELECT v FROM {self.dialect.qualified(table)}")
                except PipekitError:
                    return False
                if not is_same(found, value):
                    return False
        return True

    def has_rows(self, table: TableName) -> bool:
        """Return whether the system finds the table by this name, and rows in it."""
        try:
            return bool(self.rows(f"SELECT * FROM {self.dialect.qualified(table)}"))
        except PipekitError:
            return False

    def numbers(self, count: int, *, suffix: str = "") -> TableName:
        """Create a table with ``n`` from 1 to ``count`` and ``s``, a text for each."""
        columns = [("n", self.native(Kind.BIGINT)), ("s", self.native(Kind.TEXT))]
        table = self.create(columns, [(n, f"row {n}") for n in range(1, min(count, 10) + 1)], suffix=suffix)
        name, done = self.dialect.qualified(table), 10
        if count <= done:
            return table
        with self.session() as session, session.transaction():
            while done < count:
                added = min(done, count - done)
                text = self.dialect.concatenated("'row '", f"CAST(n + {done} AS {self.native(Kind.TEXT)})")
                session.execute(f"INSERT INTO {name} SELECT n + {done}, {text} FROM {name} WHERE n <= {added}")
                done += added
        return table

    def described(self, table: TableName) -> tuple[ColumnInfo, ...]:
        """Return the columns of the table. Fails if the introspector does not find it."""
        with self.session() as session:
            info = self.connector.introspector.describe_table(session, table)
        assert info is not None, f"describe_table does not find {table}"
        return info.columns

    def columns(self, table: TableName) -> tuple[Column, ...]:
        """Return the columns of the table as a transfer has them."""
        return tuple(
            Column(dest_name=info.name, dest_type=info.native_type, data_type=info.data_type)
            for info in self.described(table)
        )

    def select(self, table: TableName, order_by: str = "n") -> str:
        return f"SELECT * FROM {self.dialect.qualified(table)} ORDER BY {self.dialect.quote(order_by)}"

    def batches(self, query: str, columns: Sequence[Column], batch_bytes: int = BATCH_BYTES) -> list[pa.RecordBatch]:
        """Read a query to its end; check that the reader has counted what it delivered."""
        reader = self.reader
        while True:
            source = reader.read(self.parameters, query, columns, batch_bytes=batch_bytes)
            try:
                batches = list(source)
            except ReadAgain as again:
                reader = again.reader
                continue
            finally:
                source.close()
            assert source.rows == sum(batch.num_rows for batch in batches), "Batches.rows is not what was delivered"
            assert all(batch.schema == source.schema for batch in batches), "a batch differs from Batches.schema"
            return batches

    def read(self, query: str, columns: Sequence[Column], batch_bytes: int = BATCH_BYTES) -> pa.Table:
        """Return all rows of a query as one table."""
        schema = pa.schema([(column.dest_name, to_arrow(column.data_type)) for column in columns])
        return pa.Table.from_batches(self.batches(query, columns, batch_bytes), schema).combine_chunks()

    def write(
        self,
        table: TableName,
        columns: Sequence[Column],
        batches: Iterable[pa.RecordBatch],
        *,
        clear: bool = False,
        claim: Claim | None = None,
        before: Callable[[int], object] = lambda number: None,
    ) -> int:
        """Write batches by the writer."""
        schema = pa.schema([(column.dest_name, to_arrow(column.data_type)) for column in columns])
        source = MemoryBatches(schema, batches, before)
        target = WriteTarget(parameters=self.parameters, table=table, columns=columns, clear=clear, claim=claim)
        return self.writer.write(target, source)

    def drop_all(self) -> None:
        """Drop the tables of the test, unless the whole database is thrown away."""
        if self._tables and not self.case.disposable and not self.is_abandoned:
            # tables that reference others were created later
            self.execute(*map(self._drop, reversed(self._tables)))
        self._tables.clear()

    def _drop(self, table: TableName) -> str:
        return f"DROP TABLE IF EXISTS {self.dialect.qualified(table)}"


def column(name: str, kind: Kind, native: str = "", **more: Any) -> Column:
    """Return a column of a transfer."""
    return Column(dest_name=name, dest_type=native, data_type=DataType(kind=kind, **more))


def endless(table: str) -> str:
    """Return the FROM clause of a query that finds nothing in hours; ``table`` has 1000 rows, as of `numbers`."""
    pairs = ", ".join(f"{table} {alias}" for alias in "abcd")
    # a condition on numbers could be decided from the statistics of the columns
    return f"{pairs} WHERE a.s || b.s || c.s || d.s = 'x'"


def _parameter(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, dt.date | dt.time) else value


def plain(array: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return the values in a form that is equal only for identical ones: NaN, -0.0, dates out of Python's range."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_temporal(array.type):
        return list(array.cast(pa.int32() if pa.types.is_date32(array.type) else pa.int64()).to_pylist())
    if pa.types.is_floating(array.type):
        return [value if value is None else float(value).hex() for value in array.to_pylist()]
    if pa.types.is_decimal(array.type):
        return [value if value is None else str(value) for value in array.to_pylist()]
    return list(array.to_pylist())
