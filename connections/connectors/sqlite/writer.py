"""Writes Arrow batches to a SQLite table in one transaction, by compiled loops, or without them through ADBC."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import adbc_driver_manager
import pyarrow as pa

from connections.connectors.sqlite import busy_wait
from connections.connectors.sqlite.affinity import stored
from connections.connectors.sqlite.compiled.cursor import Cursor
from connections.connectors.sqlite.compiled.parameters import bindable
from connections.connectors.sqlite.dialect import DIALECT, whole_name
from connections.connectors.sqlite.driver import created_path
from connections.connectors.sqlite.errors import from_adbc
from connections.connectors.sqlite.opening import check_metadata, open_cursor
from connections.sdk.arrow import adbc
from connections.sdk.arrow.invalid_values import invalid_value
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Batches, WriteTarget
from connections.sdk.row_counts import check_counts
from connections.sdk.schema import Column, TableName


class SqliteWriter:
    """Implements `Writer`; without ``compiled``, as in installations without compiled modules."""

    works_here = True

    def __init__(self, *, compiled: bool = True) -> None:
        self.compiled = compiled

    def write(self, target: WriteTarget, batches: Batches) -> int:
        table, columns = target.table, target.columns
        with _transaction(target.parameters, compiled=self.compiled) as cursor:
            if target.claim:
                cursor.execute(target.claim.sql)
                target.claim.check(cursor.fetchall())
            if target.clear:
                cursor.execute(DIALECT.empty_table(table))
            rowid_column = _rowid_column(cursor, table)
            before = _changes(cursor)
            for batch in batches:
                arrays = [_stored(cursor, batch.column(i), column) for i, column in enumerate(columns)]
                _check_rowid(arrays, columns, rowid_column)
                # parameters are bound by position, so the names do not matter
                cursor.execute_batch(
                    _insert(table, columns), pa.record_batch(arrays, names=[str(i) for i in range(len(arrays))])
                )
            written = _changes(cursor) - before
            check_counts(batches.rows, written)
        return written


def _stored(cursor: adbc.Cursor | Cursor, array: pa.Array, column: Column) -> pa.Array:
    """Return ``array`` as it is bound to parameters. Raises InvalidValue for a value that SQLite would change."""
    return bindable(cursor.modules.inserts, array, column) if isinstance(cursor, Cursor) else stored(array, column)


def _insert(table: TableName, columns: Sequence[Column]) -> str:
    names = DIALECT.columns([column.dest_name for column in columns])
    return f"INSERT INTO {DIALECT.qualified(table)} ({names}) VALUES ({', '.join('?' * len(columns))})"


def _rowid_column(cursor: adbc.Cursor | Cursor, table: TableName) -> str:
    """Return the column that is an alias of the rowid and generates numbers for NULL; empty if there is none.

    It is the only column of the primary key, which then has no index.
    """
    name = DIALECT.string(whole_name(table))
    cursor.execute(
        f"SELECT max(name) FROM pragma_table_info({name}) WHERE pk HAVING count(*) = 1"
        f" AND NOT EXISTS (SELECT 1 FROM pragma_index_list({name}) WHERE origin = 'pk')"
    )
    rows = cursor.fetchall()
    return str(rows[0][0]) if rows else ""


def _check_rowid(arrays: Sequence[pa.Array], columns: Sequence[Column], rowid_column: str) -> None:
    for array, column in zip(arrays, columns, strict=True):
        if column.dest_name == rowid_column and array.null_count:
            raise invalid_value(
                column,
                "NULL",
                why="would become the next number in an INTEGER PRIMARY KEY",
                hint="Exclude such rows in the source query, or give them a key there.",
            )


def _changes(cursor: adbc.Cursor | Cursor) -> int:
    # the rows changed by this connection, including those changed by triggers
    cursor.execute("SELECT total_changes()")
    return int(cursor.fetchall()[0][0])


@contextlib.contextmanager
def _transaction(parameters: ConnectionParameters, *, compiled: bool) -> Iterator[adbc.Cursor | Cursor]:
    path, waits = created_path(parameters), busy_wait.total(parameters)
    try:
        with open_cursor(path, "rw", compiled=compiled) as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {int(waits * 1000)}")
            check_metadata(cursor, parameters.name)
            if parameters.same_file:
                # spilling the cache needs an exclusive lock, but the same file is still being read
                cursor.execute("PRAGMA cache_spill = OFF")
            # take the write lock now, so that no later statement waits for it
            busy_wait.execute_by_adbc(cursor, path, "BEGIN IMMEDIATE", total=waits)
            try:
                yield cursor
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            busy_wait.execute_by_adbc(cursor, path, "COMMIT", total=waits)
    except adbc_driver_manager.Error as error:
        raise from_adbc(error, name=parameters.name, path=path) from None


WRITER = SqliteWriter()
