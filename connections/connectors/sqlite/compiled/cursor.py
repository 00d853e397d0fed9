"""A connection whose rows are read and inserted by the compiled modules, with the methods of `adbc.Cursor`."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Self

import adbc_driver_manager
import adbc_driver_sqlite
import pyarrow as pa
from adbc_driver_manager import AdbcConnection, AdbcDatabase, AdbcStatusCode

from connections.connectors.sqlite.compiled.parameters import parameter
from connections.sdk.compiled import import_compiled

_PACKAGE = "connections.connectors.sqlite.compiled"
_NAMES = ("connection", "rows", "numbers", "dates", "inserts")


class Modules(NamedTuple):
    """The compiled modules, and the address of the functions of SQLite that they call."""

    connection: ModuleType
    rows: ModuleType
    numbers: ModuleType
    dates: ModuleType
    inserts: ModuleType
    functions: int


@functools.cache
def load_modules() -> Modules | None:
    """Return the compiled modules; None if one is missing, or the installed driver of ADBC loads no extensions."""
    library = driver_library()
    imported = {name: module for name in _NAMES if (module := import_compiled(f"{_PACKAGE}.{name}"))}
    if len(imported) < len(_NAMES) or library is None:
        return None
    # the functions are in the driver, which must stay loaded when ADBC has closed its connection
    ctypes.CDLL(str(library))
    try:
        _load_extension(library, imported["connection"])
    except adbc_driver_manager.Error:
        return None
    address = imported["connection"].functions()
    return Modules(**imported, functions=address) if address else None


def driver_library() -> Path | None:
    """Return the file of ADBC's driver in the package's wheels; None where it is somewhere else.

    The package's own search takes longer than a small transfer, as it imports importlib.resources.
    """
    library = Path(adbc_driver_sqlite.__file__).with_name("libadbc_driver_sqlite.so")
    return library if library.is_file() else None


def _load_extension(library: Path, connection: ModuleType) -> None:
    with ExitStack() as opened:
        database = AdbcDatabase(driver=str(library), uri=":memory:")
        opened.callback(database.close)
        loading = AdbcConnection(database)
        opened.callback(loading.close)
        prefix = "adbc.sqlite.load_extension"
        loading.set_options(**{f"{prefix}.enabled": "true"})
        loading.set_options(**{f"{prefix}.path": connection.__file__})
        loading.set_options(**{f"{prefix}.entrypoint": connection.ENTRYPOINT})


class Cursor:
    """Like `adbc.Cursor`, and raises its errors; ``uri`` is that of ADBC's database."""

    def __init__(self, modules: Modules, uri: str) -> None:
        self.modules = modules
        self._rows: list[tuple[Any, ...]] = []
        self._insert: Any = None
        self._inserts = ""
        try:
            self.connection = modules.connection.Connection(uri)
        except modules.connection.SqliteError as error:
            raise _translated(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._end_insert()
        self.connection.close()

    def execute(self, sql: str) -> None:
        try:
            self._rows = self.connection.fetch(sql)[::-1]
        except self.modules.connection.SqliteError as error:
            raise _translated(error) from None

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows.pop() if self._rows else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        rows, self._rows = self._rows[::-1], []
        return rows

    def execute_batch(self, sql: str, batch: pa.RecordBatch) -> None:
        """Execute a statement without result once for each row of the batch, bound to its parameters by position."""
        inserts = self.modules.inserts
        try:
            if sql != self._inserts:
                self._end_insert()
                self._insert = inserts.Insert(self.connection, self.modules.functions, sql, batch.num_columns)
                self._inserts = sql
            self._insert.execute(batch.num_rows, [parameter(inserts, array) for array in batch.columns])
        except self.modules.connection.SqliteError as error:
            raise _translated(error) from None

    def _end_insert(self) -> None:
        if self._insert is not None:
            self._insert.close()
            self._insert, self._inserts = None, ""

    def interrupt(self) -> None:
        """Make the running statement fail; may be called from another thread."""
        self.connection.interrupt()

    @contextmanager
    def rows(self, sql: str, kinds: Sequence[int], *, most: int) -> Iterator[Any]:
        """Open the `Rows` of a query, in batches of at most ``most`` rows."""
        try:
            rows = self.modules.rows.Rows(self.connection, self.modules.functions, sql, kinds, most)
        except self.modules.connection.SqliteError as error:
            raise _translated(error) from None
        with closing(rows):
            yield rows


def _translated(error: Exception) -> adbc_driver_manager.Error:
    return adbc_driver_manager.OperationalError(str(error), status_code=AdbcStatusCode.INTERNAL)
