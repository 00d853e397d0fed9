"""A connection through ADBC with one statement: what Pipekit uses of `adbc_driver_manager.dbapi`.

That module imports pyarrow.dataset, with readers for Parquet and for files in several clouds, which takes longer to
load than a small transfer takes to run.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Self

import pyarrow as pa
from adbc_driver_manager import AdbcConnection, AdbcDatabase, AdbcStatement, NotSupportedError

# as in adbc_driver_manager.dbapi: makes a call in the main thread interruptible
from adbc_driver_manager._lib import _blocking_call
from adbc_driver_manager._reader import AdbcRecordBatchReader


class Cursor:
    """The connection, in autocommit mode, and its statement. Closes the database too.

    All methods raise `adbc_driver_manager.Error`.
    """

    def __init__(self, database: AdbcDatabase) -> None:
        self._prepared = ""
        # the result before and after it is imported
        self._handle: Any = None
        self._reader: AdbcRecordBatchReader | None = None
        # its rows that are read but not returned yet, the next one last
        self._fetched: list[tuple[Any, ...]] = []
        with ExitStack() as opened:
            opened.callback(database.close)
            connection = AdbcConnection(database)
            opened.callback(connection.close)
            self.statement = AdbcStatement(connection)
            opened.callback(self.statement.close)
            opened.callback(self._clear)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._opened.close()

    def cancel(self) -> None:
        """Cancel the running statement; may be called from another thread."""
        self.statement.cancel()

    def set_options(self, **options: Any) -> None:
        self.statement.set_options(**options)

    def execute(self, sql: str) -> None:
        self._clear()
        self._prepare(sql)
        self._handle, _ = self._call(self.statement.execute_query)

    def execute_batch(self, sql: str, batch: pa.RecordBatch) -> None:
        """Execute a statement without result once for each row of the batch, bound to its parameters by position."""
        self._clear()
        self._prepare(sql)
        self.statement.bind(batch)
        self._call(self.statement.execute_update)

    @property
    def reader(self) -> AdbcRecordBatchReader:
        """The batches of the result. Iterating over them raises ADBC's errors."""
        if self._reader is None:
            handle, self._handle = self._handle, None
            self._reader = AdbcRecordBatchReader._import_from_c(handle.address)
        return self._reader

    def record_batches(self) -> pa.RecordBatchReader:
        """Return the batches of the result. Iterating over them raises Arrow's errors, which have only the text."""
        return self.reader._reader

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row of the result, None after the last one."""
        while not self._fetched:
            try:
                batch = self._call(self.reader.read_next_batch)
            except StopIteration:
                return None
            self._fetched = list(zip(*(column.to_pylist() for column in batch.columns), strict=True))[::-1]
        return self._fetched.pop()

    def fetchall(self) -> list[tuple[Any, ...]]:
        rows = []
        while (row := self.fetchone()) is not None:
            rows.append(row)
        return rows

    def _prepare(self, sql: str) -> None:
        if sql == self._prepared:
            return
        self.statement.set_sql_query(sql)
        self._prepared = sql
        try:
            self._call(self.statement.prepare)
        except NotSupportedError:
            # it is prepared when it is executed
            return

    def _call(self, function: Any) -> Any:
        return _blocking_call(function, (), {}, self.statement.cancel)

    def _clear(self) -> None:
        """Release the result of the last statement."""
        self._fetched = []
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        elif self._handle is not None:
            handle, self._handle = self._handle, None
            handle.release()
